"""The token's file: its user's alone, or refused with what to do."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aar.campaign.cluster import ensure_token, token_file
from aar.errors import CampaignError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "ray").mkdir(mode=0o700)
    return tmp_path / "ray" / "token"


def test_a_new_token_can_be_read_by_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "token"
    ensure_token(file)
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert len(file.read_text()) == 64
    assert os.listdir(file.parent) == ["token"]


@pytest.mark.parametrize("before", [0o644, 0o666, 0o400, 0o777])
def test_a_token_that_ray_left_open_is_closed_and_kept(file: Path, before: int) -> None:
    file.write_text("known to others")
    file.chmod(before)
    ensure_token(file)
    assert (mode(file), file.read_text()) == (0o600, "known to others")


def test_processes_that_start_together_agree_on_one_token(file: Path) -> None:
    def read(_: int) -> str:
        ensure_token(file)
        return file.read_text()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, range(64)))) == 1


def _link(file: Path) -> None:
    file.with_name("other").write_text("somebody's")
    file.symlink_to(file.with_name("other"))


def _dangling_link(file: Path) -> None:
    file.symlink_to(file.with_name("nowhere"))


def _somebody_elses(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    file.write_text("somebody's")
    os.chown(file, 12345, 12345)


def _in_somebody_elses_folder(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(file.parent, 12345, 12345)


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (_link, "plain file, not a link"),
    (_dangling_link, "plain file, not a link"),
    (lambda file: file.mkdir(), "plain file"),
    (lambda file: os.mkfifo(file), "plain file"),
    (_somebody_elses, "belongs to another user"),
    (_in_somebody_elses_folder, "others can write there"),
    (lambda file: file.parent.chmod(0o770), "others can write there"),
    (lambda file: file.parent.chmod(0o1777), "others can write there"),
    (lambda file: file.touch(), "is empty"),
]


@pytest.mark.parametrize(("prepare", "complaint"), REFUSED)
def test_a_token_that_is_not_this_users_alone_is_refused_and_left(
    file: Path, prepare: Callable[[Path], object], complaint: str
) -> None:
    prepare(file)
    before = sorted(os.listdir(file.parent)), mode(file.parent)
    with pytest.raises(CampaignError, match=complaint):
        ensure_token(file)
    assert (sorted(os.listdir(file.parent)), mode(file.parent)) == before


def test_the_file_is_where_ray_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    assert token_file() == Path.home() / ".ray" / "auth_token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/elsewhere/token")
    assert token_file() == Path("/elsewhere/token")
