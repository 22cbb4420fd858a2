"""What the tests of this folder share: a place with a store in it, its writer and its verifier."""

import concurrent.futures
import pathlib
import shutil
import subprocess

SKIPPED = 77
DONE, GAVE_UP, FINDING = 0, 1, 3  # exit codes of keystile_power


class Place:
    """A folder with a store, its segment, and the report; all of one test."""

    def __init__(self, folder, program, store=None):
        self.folder = pathlib.Path(folder)
        self.program = program
        self.store = pathlib.Path(store or self.folder / "store")
        self.segments = self.folder / "segments"
        self.report = self.folder / "report"
        self.segments.mkdir(parents=True, exist_ok=True)

    def command(self, what, *arguments):
        return [self.program, what, str(self.store), "--segments", str(self.segments), "--report",
                str(self.report), *map(str, arguments)]

    def reboot(self):
        """What lies in memory is gone."""
        shutil.rmtree(self.segments)
        self.segments.mkdir()

    def write(self, *arguments, under=(), timeout=120):
        return run([*under, *self.command("write", *arguments)], timeout)

    def write_together(self, processes, *arguments, timeout=120):
        """One writer for each list of arguments; the one whose end was the worst."""
        with concurrent.futures.ThreadPoolExecutor(len(processes)) as pool:
            ends = list(pool.map(lambda own: self.write(*own, *arguments, timeout=timeout), processes))
        return max(ends, key=lambda done: abs(done.returncode))

    def verify(self, *arguments):
        """None, or what is wrong."""
        done = run(self.command("verify", *arguments), 120)
        return None if done.returncode == DONE else f"the verifier ({done.returncode}): {done.stdout.strip()}"

    def reported(self):
        return self.report.read_text(errors="replace").splitlines() if self.report.exists() else []

    def durable(self):
        """How many times something was said to be on disk."""
        return sum(line.startswith("durable ") for line in self.reported())


def run(command, timeout):
    """Output and errors together. One that does not come back is killed, and that shows in its return code."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False, timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        return subprocess.CompletedProcess(command, 124, f"no end after {timeout} s\n{expired.stdout or ''}")


def skip(why):
    print(f"skipped: {why}")
    raise SystemExit(SKIPPED)


def keep(folder, kept):
    """Put what a finding lies in where it can be looked at."""
    kept = pathlib.Path(kept)
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, kept)
    return kept
