"""Keys in the environment of a campaign: the processes have them, and nothing that is written or handed on does."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aar.campaign.folder import ADDRESS_FILE
from aar.campaign.state import read_state
from aar.errors import CampaignError, StorageError
from aar.ray_utils import COMMONS, COMPUTE, SCORER
from tests.campaign.tiny_campaign import finish, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.campaign]

CANARY = "canary-4f1d"
KEYS = ("ANTHROPIC_API_KEY", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN")
TOLD = ("actors", "tasks", "objects", "runtime_envs", "workers", "jobs")


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every key, and Ray's token, set to a value that can be found again."""
    for key in KEYS:
        monkeypatch.setenv(key, f"{CANARY}-{key}")
    folder = tmp_path / "token"
    folder.mkdir(mode=0o700)
    (folder / "token").write_text(f"{CANARY}-ray-token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
    return f"{CANARY}-ray-token"


def below(process: "subprocess.Popen[str]") -> Iterator[list[str]]:
    """The command lines of a process and all that it started."""
    root = psutil.Process(process.pid)
    for one in (root, *root.children(recursive=True)):
        try:
            yield one.cmdline()
        except psutil.NoSuchProcess:
            continue


def session_folder(process: "subprocess.Popen[str]") -> Path | None:
    """Where the Ray of a campaign logs."""
    words = [word for line in below(process) for word in line]
    found = (word.removeprefix("--session-dir=") for word in words if word.startswith("--session-dir="))
    return next((Path(folder) for folder in found), None)


def ask(port: int, what: str, token: str) -> Any:
    """What Ray's own state API tells whoever has the token."""
    url = f"http://127.0.0.1:{port}/api/{what}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
        return json.load(answer)


def holding(folder: Path) -> list[str]:
    """The files below a folder in which the canary can be found."""
    files = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    plain = [file for file in files if file.is_file() and not file.is_symlink()]
    assert len(plain) > 10
    return [str(file) for file in plain if CANARY.encode() in file.read_bytes()]


def experiments(folder: Path) -> int:
    """How many were begun; a database that is just being made has none."""
    try:
        return len(read_state(folder).experiments)
    except (CampaignError, StorageError):
        return 0


def runtime_envs(tiny: Path) -> list[dict[str, dict[str, str]]]:
    """All that these actors are given beside what they inherit."""
    address = (tiny.parent / "campaign" / ADDRESS_FILE).read_text()
    return [{}, {"env_vars": {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2", "RAY_ADDRESS": address}}]


@pytest.fixture
def running(tiny: Path, token: str) -> Iterator["subprocess.Popen[str]"]:
    """A tiny campaign at its research."""
    process = start("run", tiny)
    try:
        wait_for("research", lambda: experiments(tiny.parent / "campaign") > 2, seconds=300)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def test_no_key_is_written_logged_or_handed_on(
    running: "subprocess.Popen[str]", tiny: Path, free_port: int, token: str
) -> None:
    session = session_folder(running)
    assert session is not None and session.is_dir()
    told = {what: ask(free_port, f"v0/{what}?detail=1&limit=1000", token) for what in TOLD}
    actors = told["actors"]["data"]["result"]["result"]
    environments = {actor["name"]: json.loads(actor["serialized_runtime_env"] or "{}") for actor in actors}
    assert {COMMONS, SCORER, COMPUTE} <= set(environments)
    assert all(environments[name] in runtime_envs(tiny) for name in (COMMONS, SCORER, COMPUTE))
    assert CANARY not in json.dumps(told)
    assert not [line for line in below(running) if CANARY in " ".join(line)]

    assert CANARY not in finish(running, seconds=400)
    assert holding(tiny.parent / "campaign") == []
    assert holding(session) == []


def test_the_search_for_keys_finds_one(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(b"\x00" + f"{CANARY}-x".encode() * (number == 7))
    assert holding(tmp_path) == [str(tmp_path / "7")]
