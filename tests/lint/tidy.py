#!/usr/bin/env python3
"""Our rules for sources that no compiler checks. Prints `file:line: rule: what to do`; exit status 1 if any.

Text      at most 600 lines a file (a spec, keystile.h: 800) and 120 columns a line, no tab, nothing left to do, no
          machine path.
Includes  an engine file includes its own folder and the doors (<layer>/<layer>.hpp) of layers left of it;
          tests and benches open any door; bindings see the public header alone.
Names     what the engine must not use (BANNED), with what to use instead.
Order     each memory order and each CAS in the engine stands under a comment `order[tag]`, and each tag
          names its partner ("pairs with", "partner") or says that it is a statistic.
Crashes   crash points are `layer.operation.moment`, unique, and the same set as in docs/RECOVERY.md.

A line may be excused where it stands, with the reason: `tidy-allow(rule): why`, on it or just above it.
"""

import dataclasses
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("engine", "bindings", "tests", "bench", "specs", "cmake", ".ci")
SKIPPED = {"__pycache__", "node_modules", "states"}
CODE = (".cpp", ".hpp", ".c", ".h")
TEXT = CODE + (".py", ".sh", ".cmake", ".txt", ".tla", ".cfg", ".in")

LINES_MAX = 600
SPEC_LINES_MAX = 800  # a protocol is one module
MANUAL_LINES_MAX = 800  # keystile.h: the whole public interface, and its manual
COLUMNS_MAX = 120
ORDER_REACH = 14  # lines from the end of an `order[tag]` comment down to what it explains

LEFT_OPEN = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:ho" r"me|ro" r"ot|wo" r"rk)/")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
ORDER_TAG = re.compile(r"\border\[([\w.\-]+)\]")
ORDER_USE = re.compile(r"\bmemory_order(?:_\w|::)|\bcompare_exchange_\w+\s*\(|\bcas16\w*\s*\(")
# What only names them: the declaration of cas16 itself, and a using-declaration.
ORDER_DECLARED = re.compile(r"\busing [\w:]*memory_order\w*"
                            r"|(?!\b(?:return|else|and|or|not)\b)\b\w[\w:<>]*[\s&*]+cas16\w*\s*\(")
ORDER_SIDES = re.compile(r"pairs? with|partner|statistic", re.IGNORECASE)
ORDER_MISSING = re.compile(r"[.>](?:load\s*\(\s*\)|(?:fetch_(?:add|sub|or|and|xor))\s*\([^(),]*\))")
CRASH_POINT = re.compile(r'\bKEYSTILE_CRASH_POINT\s*\(\s*"([^"]*)"')
LAYERS = re.compile(r"set\(KEYSTILE_LAYERS\s+([^)]+)\)")
RECOVERY = "engine/docs/RECOVERY.md"

# (rule, where, pattern, what instead); patterns see code only: no comments, no strings.
SLEEP = re.compile(r"\bsleep_(?:for|until)\b|\b(?:u|nano)?sleep\s*\(")
BANNED = (
    ("mutex", ("engine/",), re.compile(r"\bstd::(?:\w*mutex|condition_variable\w*)\b"
                                       r"|\bpthread_(?:mutex|cond|rwlock)_"),
     "no lock in the engine: its holder may be dead"),
    ("std::atomic", ("engine/",), re.compile(r"\bstd::atomic(?:_\w+)?\b"),
     "use boost::ipc_atomic, asserted lock-free, or cas16 and ld16"),
    ("sleep", ("engine/", "tests/"), SLEEP, "wait for the event, never for time"),
    ("assert", ("engine/",), re.compile(r"(?<![\w])assert\s*\("), "use CHECK: it stays on in release"),
    ("volatile", ("engine/",), re.compile(r"(?<!asm )(?<!asm__ )\bvolatile\b"), "volatile orders nothing"),
)


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def code_only(text):
    """The text with comments, and what strings contain, blanked; lines keep their numbers."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)
    return token.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def excused(lines, index, rule):
    return any(f"tidy-allow({rule}):" in lines[at] for at in (index - 1, index) if at >= 0)


def check_text(path, lines):
    lines_max = SPEC_LINES_MAX if path.endswith(".tla") else LINES_MAX
    if path.endswith("abi/keystile.h"):
        lines_max = MANUAL_LINES_MAX
    if len(lines) > lines_max:
        yield Finding(path, len(lines), "length", f"{len(lines)} lines, at most {lines_max}: split it")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield Finding(path, number, "width", f"{len(line)} columns, at most {COLUMNS_MAX}")
        if "\t" in line:
            yield Finding(path, number, "tab", "use spaces")
        if LEFT_OPEN.search(line):
            yield Finding(path, number, "left-open", "do it, or write an issue")


def check_machine_path(path, lines):
    for number, line in enumerate(lines, 1):
        if MACHINE_PATH.search(line):
            yield Finding(path, number, "machine-path", "a path of one machine helps nobody else")


def check_includes(path, lines, layers, names):
    room, _, rest = path.partition("/")
    own = rest.partition("/")[0] if room == "engine" else None
    for index, line in enumerate(lines):
        found = INCLUDE.match(line)
        if not found or excused(lines, index, "include"):
            continue
        target, number = found[1], index + 1
        layer = target.partition("/")[0]
        if layer not in layers:
            if room == "engine" and f"engine/{own}/{target}" not in names:
                yield Finding(path, number, "include", f'"{target}" is neither in this folder nor a layer')
            continue
        if layer == own:
            continue
        is_public = target == "abi/keystile.h"
        if room == "engine" and layers.index(layer) > layers.index(own):
            yield Finding(path, number, "include", f"{own} stands left of {layer} and must not know it")
        elif room == "bindings" and not is_public:
            yield Finding(path, number, "include", "bindings see keystile.h alone")
        elif target != f"{layer}/{layer}.hpp" and not is_public:
            yield Finding(path, number, "include", f'go through the door: "{layer}/{layer}.hpp"')


def check_banned(path, lines, code):
    for rule, rooms, pattern, instead in BANNED:
        if not path.startswith(rooms):
            continue
        for index, line in enumerate(code):
            if pattern.search(line) and not excused(lines, index, rule):
                yield Finding(path, index + 1, rule, instead)


def comment_blocks(lines):
    """(last line index, text) of each run of comment lines, and of each trailing comment."""
    block = []
    for index, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith(("//", "/*", "*")):
            block.append(bare)
            continue
        if block:
            yield index - 1, "\n".join(block)
            block = []
        if "//" in line:
            yield index, line[line.index("//"):]
    if block:
        yield len(lines) - 1, "\n".join(block)


def check_order(path, lines, code, explained):
    """Uses without a tag here; notes in `explained` whether each tag names its sides anywhere."""
    ends = []
    for end, text in comment_blocks(lines):
        for tag in ORDER_TAG.findall(text):
            ends.append(end)
            where = explained.setdefault(tag, [path, end + 1, False])
            where[2] = where[2] or bool(ORDER_SIDES.search(text))
    for index, line in enumerate(code):
        if excused(lines, index, "order"):
            continue
        if ORDER_MISSING.search(line):
            yield Finding(path, index + 1, "order", "name the memory order: the default hides a choice")
        elif ORDER_USE.search(ORDER_DECLARED.sub(" ", line)):
            if not any(0 <= index - end <= ORDER_REACH for end in ends):
                yield Finding(path, index + 1, "order",
                              f"no `order[tag]` comment within {ORDER_REACH} lines above")


def check_crash_points(files, layers):
    seen = {}
    form = re.compile(rf"(?:{'|'.join(layers)})\.[a-z0-9_]+\.[a-z0-9_]+")
    for path, text in files.items():
        if not path.startswith("engine/") or not path.endswith(CODE):
            continue
        for found in CRASH_POINT.finditer(text):
            name, number = found[1], text.count("\n", 0, found.start()) + 1
            if not form.fullmatch(name):
                yield Finding(path, number, "crash-point", f"{name} is not layer.operation.moment")
            if name in seen:
                yield Finding(path, number, "crash-point", f"{name} stands at {seen[name]} too")
            seen.setdefault(name, f"{path}:{number}")
    if RECOVERY not in files:
        return
    written = {}
    for number, line in enumerate(files[RECOVERY].splitlines(), 1):
        for quoted in re.findall(r"`([^`]+)`", line):
            if form.fullmatch(quoted):
                written.setdefault(quoted, number)
    for name in sorted(seen.keys() - written.keys()):
        path, _, number = seen[name].rpartition(":")
        yield Finding(path, int(number), "crash-point", f"{name} has no row in {RECOVERY}")
    for name in sorted(written.keys() - seen.keys()):
        yield Finding(RECOVERY, written[name], "crash-point", f"{name} is not in the engine")


def judge(files):
    """All findings in {path: text}."""
    layers = LAYERS.search(files["engine/CMakeLists.txt"])[1].split()
    findings, explained = [], {}
    for path, text in sorted(files.items()):
        lines = text.splitlines()
        findings += check_machine_path(path, lines)
        if path.endswith(".md"):
            continue
        findings += check_text(path, lines)
        if not path.endswith(CODE):
            continue
        code = code_only(text).splitlines()
        findings += check_includes(path, lines, layers, files)
        findings += check_banned(path, lines, code)
        if path.startswith("engine/"):
            findings += check_order(path, lines, code, explained)
    for tag, (path, line, has_sides) in sorted(explained.items()):
        if not has_sides:
            findings.append(Finding(path, line, "order",
                                    f"order[{tag}] names no partner (`pairs with`) and is no statistic"))
    findings += check_crash_points(files, layers)
    return findings


def read_tree():
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        paths += (ROOT / folder).rglob("*")
    files = {}
    for path in paths:
        inner = path.relative_to(ROOT)
        is_text = path.suffix in TEXT + (".md", ".json") or path.name in ("dev", "run")
        if is_text and path.is_file() and not SKIPPED.intersection(inner.parts):
            files[inner.as_posix()] = path.read_text(encoding="utf-8")
    return files


def self_test():
    from tidy_samples import BAD, GOOD  # beside this file; only the self-test needs them
    failed = [f"refused a good sample: {finding}" for finding in judge(GOOD)]
    for rule, path, text in BAD:
        rules = {finding.rule for finding in judge({**GOOD, path: text})}
        if rules != {rule}:
            failed.append(f"{path} with {text[:60]!r}: wanted {rule}, got {sorted(rules) or 'nothing'}")
    print("\n".join(failed) or f"tidy: {len(BAD)} bad samples refused, the good ones passed")
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    files = read_tree()
    findings = judge(files)
    for finding in findings:
        print(finding)
    print(f"tidy: {len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
