"""The examples that users copy run as they stand."""

import pathlib
import re
import textwrap

import pytest

import keystile

ROOT = pathlib.Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["README.md", "docs/python.md", "bindings/python/README.md"])
def test_examples_run(page, url, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    names = {"folder": tmp_path}  # what the pages leave to the reader
    for block in blocks:
        exec(compile(block.replace("shm:demo", url), page, "exec"), names)
    assert names["store"].get("count").value == b"1"
    names["store"].close()
    if "files" in names:
        names["files"].close()
        keystile.destroy(f"file:{tmp_path}/.keystile", force=True)


def test_the_packages_own_example_runs(url):
    code = keystile.__doc__.partition("\n\n")[2]
    names = {}
    exec(compile(textwrap.dedent(code).replace("shm:demo", url), "keystile", "exec"), names)
    assert names["store"].get("plan").value == b"second"
    names["store"].close()
