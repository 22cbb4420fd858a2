"""Traces of the engine against a spec.

`keystile_explore --traces` prints what the schedules within some bounds show. A view (views.py) makes of it what the
spec speaks of, and all of it becomes one module, Traces: a forest whose nodes are events. TLC says which nodes Spec
reaches by its own steps (Spec/traces/SpecTrace.tla); a trace is accepted if its last node is.

What to expect stands in SpecTrace.cfg, a line for each call of `keystile_explore --traces` with its options:
  \\* traces: --scenario S: N of N accepted                   the engine: all
  \\* traces: --scenario S --guard-off G: M of N accepted     without one of its guards: not all
  \\* tampered: 0 of N accepted                               the engine's, each event made into a false one
"""
import json
import pathlib
import re
import shlex
import subprocess
import tempfile
import time

import views

EXPLORER = pathlib.Path(__file__).resolve().parent.parent / "build/release/bin/keystile_explore"
EXPECT = re.compile(r"^(\\\* (?:tampered|traces: (.*)): )(\d+) of (\d+) accepted$", re.M)
KINDS = re.compile(r"^\\\* (?:traces|tampered):", re.M)
GUARD = re.compile(r"--guard-off (\S+)")
REACHED = re.compile(r'^<<"reached", (\d+)>>\n', re.M)


class Forest:
    """Traces that begin alike share their first nodes. Node 0 is above the roots."""

    def __init__(self):
        self.events, self.below, self.above = [None], [{}], [0]

    def step(self, node, event):
        key = json.dumps(event, sort_keys=True)
        if key not in self.below[node]:
            self.below[node][key] = len(self.events)
            self.events.append(event)
            self.below.append({})
            self.above.append(node)
        return self.below[node][key]

    def add(self, events):
        node = 0
        for event in events:
            node = self.step(node, event)
        return node

    def add_tampered(self, view, nodes):
        """Each event of these nodes' traces made into false ones; the nodes where they end."""
        seen, false = set(), []
        for node in nodes:
            while node and node not in seen:
                seen.add(node)
                true = self.below[self.above[node]]
                for event in view.tampered(self.events[node]):
                    if json.dumps(event, sort_keys=True) not in true:
                        false.append((self.above[node], event))
                node = self.above[node]
        return list(dict.fromkeys(self.step(node, event) for node, event in false))

    def path(self, node):
        path = []
        while node:
            path.append(node)
            node = self.above[node]
        return path[::-1]

    def module(self):
        parts = {}  # of events, which are often the same

        def part(value):
            return parts.setdefault(tla(value), f"Part{len(parts)}") if isinstance(value, dict) else tla(value)

        def row(node):
            event = ", ".join(f"{key} |-> {part(value)}" for key, value in self.events[node].items())
            return f"  [next |-> {tla(set(self.below[node].values()))}, event |-> [{event}]]"

        rows = ",\n".join(map(row, range(1, len(self.events))))
        named = "".join(f"{name} == {text}\n" for text, name in parts.items())
        return (f"---- MODULE Traces ----\n{named}Roots == {tla(set(self.below[0].values()))}\n"
                f"Nodes == <<\n{rows}\n>>\n====\n")


def tla(value):
    if isinstance(value, dict):
        return "[" + ", ".join(f"{key} |-> {tla(item)}" for key, item in value.items()) + "]"
    if isinstance(value, (list, tuple)):
        return "<<" + ", ".join(map(tla, value)) + ">>"
    if isinstance(value, set):
        return "{" + ", ".join(map(tla, sorted(value))) + "}"
    return str(value).upper() if isinstance(value, bool) else json.dumps(value)


class Group:
    """A line of the cfg: traces of one kind, and how many of them are to be accepted."""

    def __init__(self, line):
        self.head, self.options = line[1], line[2]
        self.expected = (int(line[3]), int(line[4]))
        self.guard = GUARD.search(self.options)[1] if self.options and GUARD.search(self.options) else None
        self.is_engine = bool(self.options) and not self.guard
        self.ends = {}  # the last node of each trace -> its schedule
        self.found = None

    def collect(self, forest, view):
        done = subprocess.run([EXPLORER, "--traces", *shlex.split(self.options)], capture_output=True, text=True)
        if done.returncode != 0 or not done.stdout:
            raise RuntimeError(f"keystile_explore --traces {self.options}: exit {done.returncode}\n{done.stderr}")
        for line in done.stdout.splitlines():
            trace = json.loads(line)
            self.ends.setdefault(forest.add(view.events(trace["events"])), trace["schedule"])

    def judge(self, reached):
        self.rejected = [node for node in self.ends if node not in reached]
        self.found = (len(self.ends) - len(self.rejected), len(self.ends))

    def wrong(self):
        accepted, count = self.found
        name = self.options or "tampered"
        if self.is_engine and accepted != count:
            return f"{name}: {count - accepted} of {count} are no behaviour of the spec"
        if not self.options and (accepted or not count):
            return f"tampered: {accepted} of {count} pass for true"
        if self.guard and accepted == count:
            return f"{name}: nothing is rejected"
        if self.found != self.expected:
            return f"{name}: {accepted} of {count} accepted, pinned {self.expected[0]} of {self.expected[1]}"
        return None


class TraceRun:
    """As Run in run.py."""
    kind = "traces"
    properties = ()
    property = None
    actions = {}
    states_expected = 1 << 30  # among the first: the explorer takes its time before TLC starts

    def __init__(self, spec, cfg, tlc):
        self.spec, self.cfg, self.tlc = spec, cfg, tlc
        self.name = f"{spec.name}/{cfg.parent.name}"
        self.text = cfg.read_text()
        self.groups = [Group(line) for line in EXPECT.finditer(self.text)]
        if len(self.groups) != len(KINDS.findall(self.text)) or \
                {bool(g.options) + bool(g.guard) for g in self.groups} != {0, 1, 2}:
            raise SystemExit(f"specs: {cfg}: no `\\* traces:` and `\\* tampered:` lines that fit")
        self.view = getattr(views, spec.name)
        self.wrong, self.output, self.states, self.seconds = [], "", 0, 0.0

    def check(self):
        begin = time.monotonic()
        try:
            self.replay()
        except (OSError, RuntimeError, ValueError) as error:
            self.wrong.append("no traces")
            self.output = f"{error}\nthe explorer: ./dev build release"
        self.seconds = time.monotonic() - begin
        return self

    def replay(self):
        forest = Forest()
        explored = [g for g in self.groups if g.options]
        for group in explored:
            group.collect(forest, self.view)
        engine = [node for g in explored if g.is_engine for node in g.ends]
        for group in self.groups:
            if not group.options:
                group.ends = dict.fromkeys(forest.add_tampered(self.view, engine), "")
        with tempfile.TemporaryDirectory(prefix="keystile-traces-") as scratch:
            (pathlib.Path(scratch) / "Traces.tla").write_text(forest.module())
            code, self.output = self.tlc(self.cfg.with_suffix(".tla"), self.cfg, scratch,
                                         ["-XX:TieredStopAtLevel=1", f"-DTLA-Library={scratch}:{self.spec}"], [])
        reached = {int(node) for node in REACHED.findall(self.output)}
        self.output = REACHED.sub("", self.output)
        if code != 0 or "No error has been found" not in self.output:
            self.wrong.append(f"exit {code}")
            return
        for group in self.groups:
            group.judge(reached)
            wrong = group.wrong()
            if wrong:
                self.wrong.append(wrong)
                if group.is_engine and group.rejected:
                    self.output += self.tell(forest, reached, group)

    @staticmethod
    def tell(forest, reached, group):
        """The shortest way to an event that the spec does not know."""
        def known(node):
            return [n for n in forest.path(node) if n in reached]

        end = min(group.rejected, key=lambda node: len(known(node)))
        path = forest.path(end)[:len(known(end)) + 1]
        lines = [tla(forest.events[node]) for node in path]
        return "\n    ".join([f"keystile_explore {group.options} --replay '{group.ends[end]}'", *lines[:-1]]) + \
            f"\nNO  {lines[-1]}\n"

    def summary(self):
        def count(groups, which):
            return sum(g.found[which] for g in groups)

        engine = [g for g in self.groups if g.is_engine]
        off = [g for g in self.groups if g.guard]
        false = [g for g in self.groups if not g.options]
        return (f"{count(engine, 1):,} traces accepted; rejected {count(false, 1) - count(false, 0):,} tampered, "
                f"{count(off, 1) - count(off, 0):,} without one of {len({g.guard for g in off})} guards")

    def pin(self):
        if not all(group.found for group in self.groups):
            return
        for group in self.groups:
            self.text = re.sub(re.escape(group.head) + r"\d+ of \d+",
                               lambda _, g=group: f"{g.head}{g.found[0]} of {g.found[1]}", self.text)
        self.cfg.write_text(self.text)
        self.wrong = [w for w in self.wrong if "pinned" not in w]
