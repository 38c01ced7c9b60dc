"""The shared folder: whole files that a researcher can read, and no name that leads out of it."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from aar.errors import UntrustedFileError
from aar.methods import builtin_names
from aar.researchers.tools.shared_folder import SharedFolder, populate_shared_folder
from tests.researchers.client_double import Campaign


def test_files_and_folders_are_readable_by_the_sandboxs_user(tmp_path: Path) -> None:
    shared = SharedFolder(tmp_path / "shared")
    assert shared.write("a/b/c.txt", b"one") == "/shared/a/b/c.txt"
    shared.write("a/b/c.txt", b"two")
    paths = [path for path in (tmp_path / "shared").rglob("*")]
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths} == {"a": 0o755, "b": 0o755, "c.txt": 0o644}
    assert (tmp_path / "shared" / "a" / "b" / "c.txt").read_bytes() == b"two" and shared.has("a/b")


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out", "a/.."])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    shared = SharedFolder(tmp_path / "shared")
    with pytest.raises(ValueError, match="leads out of /shared"):
        shared.write(name, b"")
    with pytest.raises(UntrustedFileError):
        shared.write_all("snapshots/c0ffee", {name: b""})
    assert not list(tmp_path.rglob("out"))


def test_it_starts_with_the_labs_documentation_the_methods_and_the_data(tmp_path: Path) -> None:
    shared, client = SharedFolder(tmp_path / "shared"), Campaign(tmp_path).client("ada")
    populate_shared_folder(shared, client)
    lab = {path.name for path in (shared.folder / "lab").iterdir()}
    assert lab == {"README.md", "lab.py", "training_task.py", "methods"}
    assert {path.stem for path in (shared.folder / "lab" / "methods").iterdir()} == set(builtin_names())
    rows = [json.loads(line) for line in (shared.folder / "data" / "examples.jsonl").read_text().splitlines()]
    labels = np.load(shared.folder / "data" / "weak_labels.npy", allow_pickle=False)
    assert len(rows) == len(labels) == 4 and all("label" not in row for row in rows)
