"""A finished campaign in a home of its own, and the command line on it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aar.cli import main
from tests.campaign_fixture import write_campaign, write_toml


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it printed."""

    code: int | str | None
    out: str
    err: str


Aar = Callable[..., Ended]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("written")
    write_campaign(write_toml(base), base / "home" / "little")
    return base


@pytest.fixture
def campaign(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished campaign called little; little.toml lies in the working directory."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home" / "little"


@pytest.fixture
def aar(capsys: pytest.CaptureFixture[str]) -> Aar:
    """The command `aar`, in this process."""

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)

    return run
