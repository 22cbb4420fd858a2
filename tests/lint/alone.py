#!/usr/bin/env python3
"""Every source of the engine and the bindings compiles by itself: the presets build a folder's files as one, which
hides a forgotten #include.

usage: alone.py BUILD    a build without CMAKE_UNITY_BUILD, configured: its compile_commands.json
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def commands(build):
    """One for each file; of the engine's flavours, which differ in macros only, the first."""
    first = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"]).resolve()
        if path.suffix == ".cpp" and path.relative_to(ROOT).parts[0] in ("engine", "bindings"):
            first.setdefault(path, (shlex.split(entry["command"]), entry["directory"]))
    return first


def compile_alone(command, directory):
    words, skip = [], False
    for word in command:
        if skip or word == "-c":
            skip = False
        elif word == "-o":
            skip = True
        else:
            words.append(word)
    done = subprocess.run([*words, "-O0", "-fsyntax-only"], cwd=directory, text=True, capture_output=True)
    return done.returncode, done.stderr


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = commands(pathlib.Path(sys.argv[1]))
    if not found:
        sys.exit("alone: no sources found; is this a build with CMAKE_UNITY_BUILD?")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(found, pool.map(lambda c: compile_alone(*c), found.values())))
    wrong = {path: told for path, (code, told) in results.items() if code != 0}
    for path, told in sorted(wrong.items()):
        print(f"{path.relative_to(ROOT)} does not compile by itself:\n{told}")
    print(f"alone: {len(found)} files, {len(wrong)} that need others")
    sys.exit(1 if wrong else 0)


main()
