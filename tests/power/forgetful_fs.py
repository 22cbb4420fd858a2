#!/usr/bin/env python3
"""The writer on a file system that forgets what was not synced (keystile_forgetful_fs).

    cut     the power goes in the n-th call that changes something; what is left is up to a seed
    lie     the n-th sync answers EIO and drops what it was to sync; the next one answers that all is well. The power
            goes at the end, or at a later call
    mutants programs without one of their syncs, or that try a failed one again: each must be found

each in these lives of a store: `first` it is made, `second` it is recovered from a first life; then two writers are in
it, as threads of one process (`crowd`) or as two processes (`two`), beside the library's flushers.
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import power

# By name: the arguments of each writer.
LIVES = {
    "first": [[]],
    "second": [[]],
    "crowd": [["--lanes", "2", "--flusher"]],
    "two": [["--flusher"], ["--flusher", "--first-lane", "1"]],
}
COMMITS = 16
MUTANTS = {"early_report": "cut", "no_data_sync": "cut", "no_file_sync": "cut", "no_folder_sync": "cut",
           "retried_sync": "lie"}


class ForgetfulFs:
    """Mounted while in a with block; what it says at its end is in `calls` and `syncs`."""

    def __init__(self, program, folder, arguments):
        self.mount = folder / "mount"
        self.left = folder / "left"
        self.mount.mkdir()
        self.process = subprocess.Popen([program, self.mount, "--left", self.left, *map(str, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.first_line = self.process.stdout.readline().strip()
        self.calls = self.syncs = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Lazily: whoever still has something open there gets errors from now on.
        subprocess.run(["fusermount3", "-u", "-z", self.mount], check=False, capture_output=True)
        said, _ = self.process.communicate(timeout=60)
        if found := re.search(r"calls (\d+) syncs (\d+)", said):
            self.calls, self.syncs = int(found[1]), int(found[2])

    def wait_mounted(self):
        """None, or why it is not."""
        if self.first_line != "mounted":
            return self.first_line or "it ended"
        while not os.path.ismount(self.mount):  # it is said just before
            if self.process.poll() is not None:
                return "it ended"
            time.sleep(0.001)
        return None


class Tester:
    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(folder)
        self.base = None
        if why := self.try_one("probe", "first", "none", [])[2]:
            power.skip(why) if why.startswith("no mount") else sys.exit(why)
        self.base = self.folder / "base"
        self.try_one("base", "first", "none", [], kept=True)

    def try_one(self, name, life, mutant, faults, kept=False):
        """(calls, syncs, what is wrong or None, commits that were said to be on disk)"""
        folder = self.folder / name
        folder.mkdir()
        place = power.Place(folder, self.options.program, store=folder / "mount")
        if life != "first":
            shutil.copy(self.base / "report", place.report)
            faults = [*faults, "--from", self.base / "left"]
        with ForgetfulFs(self.options.file_system, folder, faults) as fs:
            if why := fs.wait_mounted():
                return 0, 0, f"no mount: {why}", 0
            done = place.write_together(LIVES[life], "--commits", COMMITS, "--mutant", mutant)
        allowed = {power.DONE, power.GAVE_UP} if "--cut-at" in faults else {power.DONE}
        wrong = None if done.returncode in allowed else f"the writer ends with {done.returncode}: {done.stdout.strip()}"
        if wrong is None and not kept:
            place.store = fs.left
            place.reboot()
            wrong = place.verify("--lanes", 2)
        if wrong is not None and mutant == "none":
            wrong = f"{name} {life} {faults}: {wrong}\n  kept in {power.keep(folder, self.options.kept / name)}"
        durable = place.durable()
        if not kept:
            shutil.rmtree(folder)
        else:
            place.reboot()
        return fs.calls, fs.syncs, wrong, durable

    def plan(self, kind, life, rounds, dice):
        """Faults of one kind, the calls of a run without any of them being known."""
        calls, syncs, wrong, _ = self.try_one(f"{kind}-{life}-clean", life, "none", [])
        if wrong is not None:
            sys.exit(wrong)
        most = calls if kind == "cut" else syncs
        numbers = list(range(1, most + 1)) * -(-rounds // most)
        dice.shuffle(numbers)
        for number in numbers[:rounds]:
            seed = ["--seed", dice.randrange(1 << 32)]
            if kind == "cut":
                yield ["--cut-at", number, *seed]
            else:
                later = ["--cut-at", dice.randrange(1, calls + calls // 4)] if dice.random() < 0.5 else []
                yield ["--fail-sync", number, *later, *seed]

    def run(self, kind, life, rounds, dice):
        planned = list(enumerate(self.plan(kind, life, rounds, dice)))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda item: self.try_one(f"{kind}-{life}-{item[0]}", life, "none", item[1]),
                                    planned))
        findings = [wrong for _, _, wrong, _ in results if wrong is not None]
        print("\n".join([f"{life}: {kind}: {len(results)} losses of power, "
                         f"{sum(result[3] for result in results)} acknowledgements, {len(findings)} findings",
                         *findings]), flush=True)
        return len(findings)

    def find(self, mutant, dice):
        for i, faults in enumerate(self.plan(MUTANTS[mutant], "second", 200, dice)):
            *_, wrong, _ = self.try_one(f"{mutant}-{i}", "second", mutant, faults)
            if wrong is not None:
                print(f"mutant {mutant}: found after {i + 1}: {wrong}", flush=True)
                return 0
        print(f"mutant {mutant}: NOT FOUND", flush=True)
        return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="keystile_power")
    parser.add_argument("--file-system", required=True, help="keystile_forgetful_fs")
    parser.add_argument("--kept", type=pathlib.Path, default="build/power/kept", help="where findings are kept")
    parser.add_argument("--rounds", type=int, default=20, help="of each kind in each life")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if not os.path.exists(options.file_system):
        power.skip("keystile_forgetful_fs was not built: there is no libfuse3")
    if shutil.which("fusermount3") is None or not os.path.exists("/dev/fuse"):
        power.skip("there is no fusermount3 (package fuse3), or no /dev/fuse")
    print(f"seed {options.seed}")
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="keystile-power-", dir="/dev/shm") as folder:
        tester = Tester(options, folder)
        wrong = sum(tester.run(kind, life, options.rounds, dice) for kind in ("cut", "lie") for life in LIVES)
        wrong += sum(tester.find(mutant, dice) for mutant in MUTANTS)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
