#!/usr/bin/env python3
"""The n-th system call of a kind fails, or the process is killed before it, for each n until a run passes clean.

A fault is a kind of call, what happens to it (an errno once, an errno from then on, SIGKILL), and n. Each has a run of
the writer of its own, in one of these lives of a store:

    first    it is made
    second   it is recovered from a first life, and goes on
    crowd    two threads and the library's flusher, recovered as well (n counts the calls of one thread)

After it the verifier looks: on the same segment (the process died) or without it (so did the machine).
"""

import argparse
import concurrent.futures
import errno
import itertools
import os
import pathlib
import shutil
import sys
import tempfile

import power

# What may happen to a call besides SIGKILL.
ERRORS = {
    "openat": ["EIO", "EMFILE"],
    "pread64": ["EIO"],
    "pwrite64": ["EIO", "ENOSPC"],
    "fdatasync": ["EIO", "ENOSPC"],
    "fsync": ["EIO", "ENOSPC"],
    "fallocate": ["ENOSPC", "EIO"],
    "ftruncate": ["ENOSPC", "EIO"],
    "mkdir": ["EIO", "ENOSPC"],
    "link": ["EIO", "ENOSPC"],
    "rename": ["EIO", "ENOSPC"],
    "unlink": ["EIO"],
    "fchmod": ["EIO"],
    "fcntl": ["EIO"],
    "newfstatat": ["EIO"],
    "statfs": ["EIO"],
    "getdents64": ["EIO"],
    "mmap": ["ENOMEM"],
}
LASTING = {"pwrite64": "ENOSPC", "fdatasync": "EIO", "fsync": "EIO", "openat": "EMFILE", "fallocate": "ENOSPC"}
CROWD = ["fdatasync", "pwrite64"]
LIVES = {"first": [], "second": [], "crowd": ["--lanes", "2", "--flusher"]}
COMMITS = 16  # the history's kinds, once


class Fault:
    def __init__(self, life, call, what, is_lasting=False):
        self.life, self.call, self.what, self.is_lasting = life, call, what, is_lasting

    def __str__(self):
        return f"{self.life}: {self.call} {self.what}{' from then on' if self.is_lasting else ''}"

    def expression(self, n):
        what = "signal=SIGKILL" if self.what == "SIGKILL" else f"error={self.what}"
        return f"inject={self.call}:{what}:when={n}{'+' if self.is_lasting else ''}"


def faults():
    for life in ("first", "second"):
        for call, errors in ERRORS.items():
            if call == "mkdir" and life != "first":
                continue
            for what in [*errors, "SIGKILL"]:
                yield Fault(life, call, what)
        for call, what in LASTING.items():
            yield Fault(life, call, what, is_lasting=True)
    for call in CROWD:
        for what in (ERRORS[call][0], "SIGKILL"):
            yield Fault("crowd", call, what)


class Tester:
    def __init__(self, options, folder):
        self.program = options.program
        self.kept = pathlib.Path(options.kept)
        self.mutant = options.mutant
        self.folder = pathlib.Path(folder)
        self.base = self.first_life()

    def first_life(self):
        place = power.Place(self.folder / "base", self.program)
        done = place.write("--commits", COMMITS)
        if done.returncode != power.DONE:
            raise SystemExit(f"without any fault the writer ends with {done.returncode}: {done.stdout}")
        place.reboot()
        return place.folder

    def try_one(self, fault, n):
        """(did it happen, what is wrong or None)"""
        folder = self.folder / f"{fault.life}-{fault.call}-{fault.what}-{n}{'+' if fault.is_lasting else ''}"
        if fault.life != "first":
            shutil.copytree(self.base, folder)
        place = power.Place(folder, self.program)
        log = folder / "strace"
        injection = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={fault.call}", "-e", fault.expression(n)]
        done = place.write("--commits", COMMITS, "--mutant", self.mutant, *LIVES[fault.life], under=injection)
        has_happened = "INJECTED" in log.read_text() if fault.what != "SIGKILL" else done.returncode == -9
        wrong = self.judge_end(fault, done) or self.judge_told(fault, place)
        if wrong is None:
            if n % 2 == 0 or fault.what != "SIGKILL" or self.mutant != "none":
                place.reboot()
            wrong = place.verify(*LIVES[fault.life][:2])
        if wrong is not None:
            wrong = f"{fault}, n = {n}: {wrong}"
            if self.mutant == "none":
                wrong += f"\n  kept in {power.keep(folder, self.kept / folder.name)}"
        shutil.rmtree(folder)
        return has_happened, wrong

    @staticmethod
    def judge_end(fault, done):
        # Whoever tries again after a single fault gets through.
        allowed = {power.DONE}
        if fault.is_lasting or fault.call == "mmap":  # the writer's own memory too
            allowed.add(power.GAVE_UP)
        if fault.what == "SIGKILL":
            allowed.add(-9)
        return None if done.returncode in allowed else f"the writer ends with {done.returncode}: {done.stdout.strip()}"

    @staticmethod
    def judge_told(fault, place):
        """The first call that failed says why: nothing else is wrong with this system."""
        failed = [line.split() for line in place.reported() if line.startswith("failed ")]
        if not failed or fault.what == "SIGKILL" or failed[0][2] == "KS_BUSY":
            return None
        told = int(failed[0][3])
        return None if told == getattr(errno, fault.what) else f"errno {told} is told: {' '.join(failed[0])}"

    def all_of(self, fault, stride, first):
        """(runs in which it happened, findings)"""
        happened, findings = 0, []
        for n in itertools.count(first, stride):
            has_happened, wrong = self.try_one(fault, n)
            if wrong is not None:
                findings.append(wrong)
                print(wrong, flush=True)
            if not has_happened:
                return happened, findings
            happened += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="keystile_power")
    parser.add_argument("--kept", default="build/power/kept", help="where findings are kept")
    parser.add_argument("--stride", type=int, default=1, help="of n: 1 is every call")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--mutant", default="none", help="of keystile_power; then a finding is what must be")
    parser.add_argument("--seed", type=int, default=1, help="where a stride begins")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        power.skip("there is no strace")
    probe = power.run(["strace", "-qq", "-e", "inject=getppid:error=EIO", "true"], 20)
    if probe.returncode != 0:
        power.skip(f"strace cannot trace here: {probe.stdout.strip()}")

    chosen = [fault for fault in faults() if options.only in str(fault)]
    with tempfile.TemporaryDirectory(prefix="keystile-power-", dir="/dev/shm") as folder:
        tester = Tester(options, folder)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = pool.map(lambda item: tester.all_of(item[1], options.stride,
                                                          1 + (item[0] + options.seed) % options.stride),
                               enumerate(chosen))
            results = list(results)
    happened = sum(result[0] for result in results)
    findings = sum(len(result[1]) for result in results)
    never = [str(fault) for fault, result in zip(chosen, results) if result[0] == 0]
    if options.stride == 1 and never:
        print(f"never happened: {', '.join(never)}")
    print(f"{len(chosen)} kinds of fault, {happened} faults, {findings} findings")
    if options.mutant != "none":
        print(f"mutant {options.mutant}: {'found' if findings else 'NOT FOUND'}")
        sys.exit(0 if findings else 1)
    sys.exit(1 if findings or happened == 0 or (options.stride == 1 and never) else 0)


if __name__ == "__main__":
    main()
