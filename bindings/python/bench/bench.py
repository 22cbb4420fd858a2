"""What a call costs from Python, in calls that do nothing; and the same work by agent-coherence.

    python bench.py [--json FILE]

calls   commit of a hot key, commit that is refused and caught, get of 1 KiB that nobody changed since the last get,
        and of 1 KiB that was just committed: each against an empty C function of the same signature, in the same run.
        The loop around both is in both. (The last is a loop of commits and gets less one of commits, so there is no
        loop in it: the empty loop is added again.)
peer    (if agent-coherence is installed) read and read-recompute-commit of one value of 1 KiB by one process; then
        four processes that increment one counter, by each of the ways the package has to write.

files   4 KiB into a file: by hand (temporary file, fsync, rename, fsync of the folder), by Files.write on its durable
        store, by CoherentVolume.write_cas. $TMPDIR says on which file system.

Times of calls are the minima of repeated blocks, all kinds in turn: what disturbs the machine only adds. Those of the
peer are medians, for its work is other processes' too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable

import keystile

LIMITS = {"commit": 2.5, "conflict": 6.0, "get": 3.0, "get anew": 3.0}
CALLS, BLOCKS = 2_000, 600  # short ones, so that some of them have the core to themselves
PEER_CALLS, PEER_BLOCKS = 20, 10
WORKERS, INCREMENTS = 4, 100


def build_empty(folder: str):
    """The module with the empty functions, compiled as an extension is."""
    source = pathlib.Path(__file__).with_name("empty.c")
    target = pathlib.Path(folder) / "empty.so"
    include = sysconfig.get_path("include")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(target)], check=True)
    spec = importlib.util.spec_from_file_location("empty", target)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def empty_commits(empty, store, key, value):
    stamp = None
    for _ in range(CALLS):
        stamp = empty.commit(key, value, stamp)


def commits(empty, store, key, value):
    stamp = store.get(key).stamp
    for _ in range(CALLS):
        stamp = store.commit(key, value, stamp)


def try_commits(empty, store, key, value):
    never = keystile.NEVER
    for _ in range(CALLS):
        store.try_commit(key, value, never)


def conflicts(empty, store, key, value):
    never, conflict = keystile.NEVER, keystile.Conflict
    for _ in range(CALLS):
        try:
            store.commit(key, value, never)
        except conflict:
            pass


def empty_gets(empty, store, key, value):
    for _ in range(CALLS):
        empty.get(key)


def gets(empty, store, key, value):
    for _ in range(CALLS):
        store.get(key)


def gets_anew(empty, store, key, value):
    stamp = store.get(key).stamp
    for _ in range(CALLS):
        stamp = store.commit(key, value, stamp)
        store.get(key)


def no_calls(empty, store, key, value):
    for _ in range(CALLS):
        pass


def bench_calls(store, folder):
    """Nanoseconds a call, by kind."""
    empty = build_empty(folder).Empty()
    hot, kib = ("hot", b"x" * 64), ("kib", b"x" * 1024)
    for key, value in (hot, kib):
        store.commit(key, value, store.get(key).stamp)
    kinds = {
        "empty commit": (empty_commits, hot),
        "commit": (commits, hot),
        "conflict": (conflicts, hot),
        "refused try_commit": (try_commits, hot),
        "empty get": (empty_gets, kib),
        "get": (gets, kib),
        "commit of 1 KiB": (commits, kib),
        "commit, get": (gets_anew, kib),
        "loop": (no_calls, kib),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(BLOCKS):
        for kind, (function, (key, value)) in kinds.items():
            began = time.perf_counter_ns()
            function(empty, store, key, value)
            taken[kind].append((time.perf_counter_ns() - began) / CALLS)
    best = {kind: min(times) for kind, times in taken.items()}
    best["get anew"] = best["commit, get"] - best["commit of 1 KiB"] + best["loop"]
    return best


def report_calls(ns):
    print(f"{'call':<22}{'ns':>8}{'empty':>8}{'ratio':>8}{'goal':>8}")
    passed = True
    for kind, empty in (
        ("commit", "empty commit"),
        ("conflict", "empty commit"),
        ("refused try_commit", "empty commit"),
        ("get", "empty get"),
        ("get anew", "empty get"),
    ):
        ratio, limit = ns[kind] / ns[empty], LIMITS.get(kind)
        goal = f"{limit:.1f}" if limit else ""
        passed = passed and (limit is None or ratio <= limit)
        print(f"{kind:<22}{ns[kind]:>8.1f}{ns[empty]:>8.1f}{ratio:>8.2f}{goal:>8}")
    return passed


# ---- agent-coherence ----


def median_us(function: Callable[[], object], calls: int, blocks: int) -> float:
    times = []
    for _ in range(blocks):
        began = time.perf_counter_ns()
        for _ in range(calls):
            function()
        times.append((time.perf_counter_ns() - began) / calls / 1000)
    return statistics.median(times)


def bench_peer(store, folder):
    """Microseconds of the same work by both, in turn."""
    from ccs.adapters.coherent_volume import CoherentVolume

    root = pathlib.Path(folder) / "volume"
    root.mkdir()
    content = [b"%01024d" % i for i in range(2)]
    (root / "plan.md").write_bytes(content[0])
    volume = CoherentVolume(root, managed=("plan.md",))
    volume.read("plan.md")
    store.update("plan", lambda old: content[0])
    turn = [0]

    def flip(old):
        turn[0] ^= 1
        return content[turn[0]]

    def update_optimistically():
        value, stamp = store.get("plan")
        store.commit("plan", flip(value), stamp)

    return {
        "read": (
            median_us(lambda: volume.read("plan.md"), PEER_CALLS, PEER_BLOCKS),
            median_us(lambda: store.get("plan"), CALLS, PEER_BLOCKS),
        ),
        "read-recompute-commit": (
            median_us(lambda: volume.write_cas("plan.md", flip), PEER_CALLS, PEER_BLOCKS),
            median_us(update_optimistically, CALLS, PEER_BLOCKS),
        ),
    }


FILE_CALLS, FILE_BLOCKS = 5, 12


def replace_carefully(folder, data):
    """What anybody must do who wants a file whole after a loss of power."""
    with open(folder / "bare.tmp", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(folder / "bare.tmp", folder / "bare")
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


def bench_files(folder):
    """Microseconds of writing 4 KiB: by hand, by Files, and by CoherentVolume if it is there; in turn."""
    root = pathlib.Path(folder) / "files"
    root.mkdir()
    contents = [bytes([48 + i]) * 4096 for i in range(2)]
    turn = [0]

    def flip(old=None):
        turn[0] ^= 1
        return contents[turn[0]]

    with keystile.Files(root) as files:
        stamp = [files.write("ours", contents[0], keystile.NEVER)]

        def write_ours():
            stamp[0] = files.write("ours", flip(), stamp[0])

        kinds = {"bare replace": lambda: replace_carefully(root, flip()), "Files.write": write_ours}
        if has_peer():
            volume_root = pathlib.Path(folder) / "volume4"
            volume_root.mkdir()
            (volume_root / "count").write_bytes(contents[0])
            volume = peer_volume(volume_root)
            kinds["CoherentVolume.write_cas"] = lambda: volume.write_cas("count", flip)
        taken: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(FILE_BLOCKS):
            for kind, function in kinds.items():
                taken[kind].append(median_us(function, FILE_CALLS, 1))
    keystile.destroy(f"file:{root}/.keystile", force=True)
    return {kind: statistics.median(times) for kind, times in taken.items()}


def has_peer():
    return importlib.util.find_spec("ccs") is not None


def increment(old):
    return b"%d" % (int(old or 0) + 1)


def increment_ours(url, start):
    with keystile.open(url) as store:
        start.wait()
        for _ in range(INCREMENTS):
            store.update("count", increment)


def peer_volume(root):
    from ccs.adapters.coherent_volume import CoherentVolume

    return CoherentVolume(root, managed=("count",))


def peer_cas(root, start, told):
    """write_cas(), with its own retry loop. What it gives up on it raises."""
    peer_work(root, start, told, lambda volume: volume.write_cas("count", increment))


def peer_write(root, start, told):
    """read() and write(), as an agent uses files; a stale write is raised."""
    peer_work(root, start, told, lambda volume: volume.write("count", increment(volume.read("count"))))


def peer_work(root, start, told, step):
    volume = peer_volume(root)
    start.wait()
    done = raised = 0
    for _ in range(INCREMENTS):
        try:
            step(volume)
            done += 1
        except Exception:
            raised += 1
    told.put((done, raised))


def run_workers(target, *arguments):
    context = multiprocessing.get_context("spawn")
    start, told = context.Barrier(WORKERS + 1), context.Queue()
    extra = (told,) if target is not increment_ours else ()
    workers = [context.Process(target=target, args=(*arguments, start, *extra)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    answers = [told.get() for _ in range(WORKERS)] if extra else []
    for worker in workers:
        worker.join()
    return time.perf_counter() - began, answers


def bench_lost(url, store, folder):
    """{way: (told done, told failed, counted, seconds)} of WORKERS processes that increment one counter."""
    store.update("count", lambda old: b"0")
    seconds, _ = run_workers(increment_ours, url)
    ways = {"keystile update": (WORKERS * INCREMENTS, 0, int(store.get("count").value), seconds)}
    for way, target in (("CoherentVolume.write_cas", peer_cas), ("CoherentVolume.read, write", peer_write)):
        root = pathlib.Path(folder) / target.__name__
        root.mkdir()
        (root / "count").write_bytes(b"0")
        keeper = peer_volume(root)  # its coordinator stays
        seconds, answers = run_workers(target, str(root))
        done, raised = (sum(answer[i] for answer in answers) for i in (0, 1))
        ways[way] = (done, raised, int((root / "count").read_bytes()), seconds)
        keeper.read("count")
    return ways


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="keep the figures in this file")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the peer's threads, about folders that are no git repository
    url = f"shm:py.bench.{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        store = keystile.open(url)
        try:
            passed = run(url, store, folder, options.json)
        finally:
            store.close()
            keystile.destroy(url, force=True)
    return 0 if passed else 1


def run(url, store, folder, json_file):
    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    figures = {"calls_ns": bench_calls(store, folder)}
    passed = report_calls(figures["calls_ns"])
    figures["files_us"] = bench_files(folder)
    bare = figures["files_us"]["bare replace"]
    print(f"\n{'4 KiB into a file':<28}{'us':>8}{'bare':>8}")
    for kind, taken in figures["files_us"].items():
        print(f"{kind:<28}{taken:>8.0f}{taken / bare:>8.2f}")
    passed = passed and figures["files_us"]["Files.write"] <= 2 * bare
    if not has_peer():
        print("\nagent-coherence is not installed: no comparison")
    else:
        figures["peer_us"] = bench_peer(store, folder)
        print(f"\n{'1 KiB, one process':<24}{'agent-coherence':>16}{'keystile':>12}{'ratio':>10}")
        for kind, (theirs, ours) in figures["peer_us"].items():
            passed = passed and theirs / ours >= 1000
            print(f"{kind:<24}{theirs:>13.0f} us{ours * 1000:>9.0f} ns{theirs / ours:>10,.0f}")
        figures["increments"] = bench_lost(url, store, folder)
        title = f"{WORKERS} processes x {INCREMENTS}"
        print(f"\n{title:<28}{'told done':>10}{'raised':>8}{'counted':>9}{'lost':>6}{'s':>8}")
        for way, (done, raised, counted, seconds) in figures["increments"].items():
            print(f"{way:<28}{done:>10}{raised:>8}{counted:>9}{done - counted:>6}{seconds:>8.2f}")
    if json_file:
        pathlib.Path(json_file).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return passed


if __name__ == "__main__":
    sys.exit(main())
