#!/usr/bin/env python3
"""Runs keystile_bench and prints each case with its ratios: median over the repetitions, goal, met or not.

usage: report.py [--bench PATH] [--repetitions N] [--min-time SECONDS] [--filter REGEX] [--read FILE]...

A ratio is taken within one run, in turns with its reference, never across runs: the counter x_NAME is the median over
the turns, best_NAME the fastest turn of each, what is left when no neighbour disturbs. The median is judged.
--read judges JSON that was kept before (`./dev bench --json FILE --benchmark_repetitions=9`) instead of running.
Exit status 1 if a goal is missed.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

# case (whole name) -> {counter: at most}
GOALS = {
    "commit/hot/handle": {"x_cas": 5},
    "commit/hot/key": {"x_cas": 8},
    "get/hot/handle": {"x_cas": 2},
    "get/hot/key": {"x_cas": 4},
    "commit/uniform100k/key": {"x_cas": 2.5},
    "get/uniform100k/key": {"x_cas": 2.5},
    "get_many/uniform100k": {"x_get": 0.4},
    **{f"multi/hot/{keys}": {"x_budget": 1} for keys in (1, 2, 4, 8, 64)},
    "multi2/hot": {"x_mutex": 1.5},
    "multi2/hot/2p": {"x_mutex": 1},
    "multi2/hot/stopped": {"x_alone": 1.2},
    "snapshot8/hot": {"x_get": 10},
    "commit/hot/handle/ring": {"x_idle_ring": 1.05},
    "durable/relaxed": {"x_cas": 14, "x_volatile": 3.5},
    "durable/one": {"x_bare": 1.3},
    **{f"durable/writers/{threads}": {"x_alone": 1} for threads in (2, 4, 8)},  # more of them do more
    **{f"durable/sustained/{size}": {"x_bare": 1.43} for size in (64, 1024, 16384)},
    "durable/checkpoint": {"x_quiet": 3},
    "durable/recovery": {"x_read": 3.33},
    "files/write/4096": {"x_bare": 2},
}
# Faster than the mutex at every point, at most 1.5 times the seqlock.
POINTS = re.compile(r"(commit|get)/(hot|zipf100k|uniform100k)/key(/2p)?")
POINT_GOALS = {"x_mutex": 1, "x_seqlock": 1.5}
# Ahead of every other store that promises the same.
PEER_POINTS = re.compile(r"durable/(relaxed|one|writers/\d+)")
PEER_GOALS = {"x_lmdb": 1, "x_sqlite": 1, "x_rocksdb": 1}
# case -> {counter: at least}
LEAST = {
    "commit/hot/key/2p": {"share": 0.25},  # of the slower of the two
    "multi2/hot/stopped": {"inside": 1, "mutex_stalled": 1},  # else the stops show nothing
}

# Shown as they are.
TOLD = ("committer_cpu_ns", "flusher_cpu_ns", "per_second", "mb_per_second")


def goals_of(case):
    return {**GOALS.get(case, {}), **(POINT_GOALS if POINTS.fullmatch(case) else {}),
            **(PEER_GOALS if PEER_POINTS.fullmatch(case) else {})}


def run(bench, arguments):
    command = [bench, "--benchmark_format=json", f"--benchmark_repetitions={arguments.repetitions}",
               f"--benchmark_min_time={arguments.min_time}", f"--benchmark_filter={arguments.filter}",
               "--benchmark_enable_random_interleaving=true"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def collect(reports):
    """{case: {counter: [value of each repetition]}}, and the cases that failed."""
    cases = collections.defaultdict(lambda: collections.defaultdict(list))
    failed = {}
    for report in reports:
        for entry in report["benchmarks"]:
            if entry.get("run_type") == "aggregate":
                continue
            case = entry["run_name"].removesuffix("/real_time")
            if entry.get("error_occurred"):
                failed[case] = entry["error_message"]
                continue
            for counter, value in entry.items():
                is_judged = counter.startswith("x_") or counter in LEAST.get(case, {})
                if is_judged or counter == "ns" or counter.startswith("best_") or counter in TOLD:
                    cases[case][counter].append(value)
    return cases, failed


def verdicts(case, medians):
    """(what is judged, value, best ratio or None, goal as shown, is met or None)"""
    for counter, value in sorted(medians.items()):
        if counter.startswith("x_"):
            goal = goals_of(case).get(counter)
            shown, is_met = ("", None) if goal is None else (f"≤ {goal:g}", value <= goal)
            yield counter[2:], value, medians["best_" + counter[2:]], shown, is_met
    for counter, goal in LEAST.get(case, {}).items():
        yield counter, medians[counter], None, f"≥ {goal:g}", medians[counter] >= goal


def print_table(cases):
    missed = 0
    print(f"{'case':28} {'ns':>8}   {'against':20} {'ratio':>7} {'best':>7} {'goal':>7}")
    for case, counters in sorted(cases.items()):
        medians = {counter: statistics.median(values) for counter, values in counters.items()}
        rows = list(verdicts(case, medians))
        if not rows:
            print(f"{case:28} {medians['ns']:8.1f}")
        for number, (judged, value, best, goal, is_met) in enumerate(rows):
            head = f"{case:28} {medians['ns']:8.1f}" if number == 0 else " " * 37
            undisturbed = "" if best is None else f"{best:.2f}"
            verdict = {None: "", True: "met", False: "MISSED"}[is_met]
            print(f"{head}   {judged:20} {value:7.2f} {undisturbed:>7} {goal:>7} {verdict}")
            missed += is_met is False
        for told in (counter for counter in TOLD if counter in medians):
            print(f"{'':37}   {told:20} {medians[told]:7.0f}")
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bench", default=ROOT / "build/release/bin/keystile_bench", type=pathlib.Path)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--min-time", type=float, default=0.1)
    parser.add_argument("--filter", default="^(commit|get|get_many|cas|multi2?|snapshot8|durable|files)/")
    parser.add_argument("--read", action="append", type=pathlib.Path, default=[])
    arguments = parser.parse_args()
    if arguments.read:
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.read]
    else:
        reports = [run(arguments.bench, arguments)]
    context = reports[-1]["context"]
    machine = f"{context['num_cpus']} CPUs at {context['mhz_per_cpu']} MHz"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}, {context['date']}")
    cases, failed = collect(reports)
    missed = print_table(cases)
    for case, why in failed.items():
        print(f"{case}: FAILED: {why}")
    print(f"{missed} of the goals missed, {len(failed)} cases failed")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
