"""CrewAI's own tests of its persistence, of pauses for humans, and of what it locks, against ours."""

import pathlib
import re
import subprocess
import sys
import tarfile

FILES = (
    "test_flow_persistence.py",
    "test_flow_persistence_factory.py",
    "test_async_human_feedback.py",
    "test_flow_resumability_regression.py",
    "storage/test_kickoff_task_outputs_storage.py",
    "utilities/test_file_handler.py",
    "utilities/test_lock_store.py",
)


def test_crewais_own_suite(tmp_path):
    (source,) = pathlib.Path(sys.prefix, "sources").glob("crewai-*.tar.gz")  # ./dev adapters puts it there
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "on_keystile", "-W", "ignore"]
    done = subprocess.run([*pytest, *(f"tests/{name}" for name in FILES)], cwd=root, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 100
    assert int(re.search(r"stores made: (\d+)", done.stdout)[1]) >= 40
