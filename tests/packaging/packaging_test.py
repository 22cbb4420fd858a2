#!/usr/bin/env python3
"""Installs a build into a fresh prefix, moves the prefix, and uses it as a stranger would.

Checks: the CMake package and pkg-config both work after the move; programs in C11 and C++20 compile with
-pedantic -Werror, link shared and static, and run; only ks_* leaves the shared library; it needs nothing
but the C and C++ run time; no installed text names the source or build tree.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NEEDED_ALLOWED = re.compile(r"(libc|libm|libstdc\+\+|libgcc_s|ld-linux[\w-]*)\.so")
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror"]


def run(*command, **environment):
    done = subprocess.run([str(word) for word in command], env={**os.environ, **environment}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode != 0:
        raise SystemExit(f"failed ({done.returncode}): {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def check_find_package(options, prefix, folder):
    build = folder / "find_package"
    run(options.cmake, "-G", "Ninja", "-S", HERE / "consumer", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_C_COMPILER={options.cc}", f"-DCMAKE_CXX_COMPILER={options.cxx}",
        "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON")
    run(options.cmake, "--build", build)
    for program in ("consumer_c", "consumer_c_static", "consumer_cpp"):
        run(build / program)


def check_pkg_config(options, prefix, folder):
    libdir = prefix / options.libdir
    environment = {"PKG_CONFIG_PATH": str(libdir / "pkgconfig")}

    def flags(*what):
        return run("pkg-config", *what, "keystile", **environment).split()

    builds = [
        ([options.cc, "-std=c11"], "consumer.c", flags("--cflags", "--libs"), "pc_c"),
        ([options.cxx, "-std=c++20"], "consumer.cpp", flags("--cflags", "--libs"), "pc_cpp"),
        ([options.cc, "-std=c11"], "consumer.c",
         [word.replace("-lkeystile", "-l:libkeystile.a") for word in flags("--cflags", "--libs", "--static")],
         "pc_c_static"),
    ]
    for compiler, source, words, name in builds:
        run(*compiler, *STRICT, HERE / "consumer" / source, *words, "-o", folder / name)
        run(folder / name, LD_LIBRARY_PATH=str(libdir))


def check_shared_library(library):
    names = [line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()]
    names = [name.split("@")[0] for name in names if not name.startswith("KEYSTILE_")]
    strangers = [name for name in names if not name.startswith("ks_")]
    if strangers or not names:
        raise SystemExit(f"the shared library must export ks_* and nothing else, but: {strangers or 'nothing'}")

    dynamic = run("readelf", "-dW", library)
    soname = re.search(r"SONAME.*\[(.*)\]", dynamic)
    if soname is None or soname[1] != "libkeystile.so.0":
        raise SystemExit(f"SONAME is {soname and soname[1]}, wanted libkeystile.so.0")
    for needed in re.findall(r"NEEDED.*\[(.*)\]", dynamic):
        if not NEEDED_ALLOWED.match(needed):
            raise SystemExit(f"the shared library needs {needed} at run time")


def check_no_tree_paths(options, prefix):
    trees = [str(pathlib.Path(path).resolve()).encode() for path in (options.source, options.build)]
    for path in prefix.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if content[:4] == b"\x7fELF" or path.suffix == ".a":
            continue  # debug information names sources, and may
        if any(tree in content for tree in trees):
            raise SystemExit(f"{path.relative_to(prefix)} names the source or build tree")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("cmake", "build", "source", "libdir", "cc", "cxx"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        first, prefix = folder / "first", folder / "moved" / "prefix"
        run(options.cmake, "--install", options.build, "--prefix", first)
        prefix.parent.mkdir()
        first.rename(prefix)

        check_no_tree_paths(options, prefix)
        check_shared_library(prefix / options.libdir / "libkeystile.so")
        run(prefix / "bin" / "keystile", "--help")
        run(prefix / "bin" / "keystile", "swarm", "--workers", "2", "--quiet")  # its text is installed, too
        check_find_package(options, prefix, folder)
        check_pkg_config(options, prefix, folder)
    print("installed, moved, found by CMake and pkg-config, linked shared and static, run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
