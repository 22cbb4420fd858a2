#!/usr/bin/env python3
"""Compiles and runs the README's examples: the fenced blocks that open with ```c example or ```cpp example.

Exit status: 0 all ran; 1 one failed, or the README has none; 77 there is no README yet.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```(c|cpp) example[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]


def run_example(options, index, language, line, text, folder):
    source = folder / f"example_{index}.{language}"
    program = source.with_suffix("")
    source.write_text(text, encoding="utf-8")
    library = pathlib.Path(options.library)
    compiler = [options.cc, "-std=c11"] if language == "c" else [options.cxx, "-std=c++20"]
    command = [*compiler, *WARNINGS, *(f"-I{path}" for path in options.include), str(source), str(library),
               f"-Wl,-rpath,{library.parent}", "-o", str(program)]
    if options.sanitize:
        command.append(f"-fsanitize={options.sanitize}")
    for step in (command, [str(program)]):
        done = subprocess.run(step, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode != 0:
            print(f"README.md:{line}: {pathlib.Path(step[0]).name} answered {done.returncode}\n"
                  f"{done.stdout}{done.stderr}")
            return False
    print(f"README.md:{line}: {language} example ran\n{done.stdout}", end="")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", type=pathlib.Path, required=True)
    parser.add_argument("--cc", required=True)
    parser.add_argument("--cxx", required=True)
    parser.add_argument("--sanitize", default="")
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--library", required=True)
    options = parser.parse_args()

    if not options.readme.exists():
        print("no README.md yet")
        return 77
    readme = options.readme.read_text(encoding="utf-8")
    examples = list(BLOCK.finditer(readme))
    if not examples:
        print("README.md has no block that opens with ```c example or ```cpp example")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        results = [run_example(options, index, found[1], readme.count("\n", 0, found.start()) + 1, found[2],
                               pathlib.Path(folder))
                   for index, found in enumerate(examples)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
