"""The framework's own tests, from its source distribution, with our class in place of its own.

    python upstream.py NAME FOLDER

NAME is a folder beside this file that has an upstream.py: what is ours, which tests, and which are left out, and why.
The tests themselves are fetched into FOLDER, in the version that is installed. upstream.py has

    SUITES             by the distribution's name: its tests (files, or single ones), and {reason: [tests left out]}
    substitute()       put ours where the framework's tests import its own from
    made               a list that grows when a test makes one of ours
    clean_up()         destroy the stores
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent


def load(name):
    spec = importlib.util.spec_from_file_location(f"upstream_{name}", HERE / name / "upstream.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fetch(distribution: str, folder: pathlib.Path) -> pathlib.Path:
    """The unpacked source distribution of what is installed."""
    version = importlib.metadata.version(distribution)
    name = f"{distribution.replace('-', '_')}-{version}"
    if not (folder / name / "tests").is_dir():  # the network is needed here alone
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        pip.append("--no-build-isolation")  # it asks the distribution for its metadata: requirements.txt has the tool
        subprocess.run([*pip, "--no-binary", ":all:", "-d", folder, f"{distribution}=={version}"], check=True)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / name


class Plugin:
    """Leaves tests out, and sees to it that ours was tested and each name left out is one."""

    def __init__(self, suite, left_out):
        self.suite = suite
        self.left_out = {name for names in left_out.values() for name in names}
        self.unknown: set[str] = set()

    def pytest_configure(self, config):
        self.suite.substitute()

    def pytest_collection_modifyitems(self, config, items):
        names = [getattr(item, "originalname", item.name) for item in items]
        self.unknown = self.left_out - set(names)
        gone = [item for name, item in zip(names, items, strict=True) if name in self.left_out]
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]

    def pytest_sessionfinish(self, session):
        self.suite.clean_up()
        if self.unknown or not self.suite.made:
            print(f"\nleft out, but not there: {sorted(self.unknown)}; made of ours: {len(self.suite.made)}")
            session.exitstatus = 1


def run(name: str, distribution: str, folder: pathlib.Path) -> int:
    suite = load(name)
    tests, left_out = suite.SUITES[distribution]
    top = fetch(distribution, folder)
    os.chdir(top)
    sys.path.insert(0, str(top))
    import pytest

    return pytest.main(
        ["-q", "--disable-warnings", "-p", "no:cacheprovider", *tests], plugins=[Plugin(suite, left_out)]
    )


def main() -> int:
    name, folder, *chosen = sys.argv[1:]
    if chosen:
        return run(name, chosen[0], pathlib.Path(folder).resolve())
    codes = []
    for distribution in load(name).SUITES:  # a process each: their modules have the same names
        print(f"-- the tests of {distribution}", flush=True)
        codes.append(subprocess.run([sys.executable, __file__, name, folder, distribution], check=False).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
