"""Going without a wall: places are those of the host, and nothing is kept from a command."""

from pathlib import Path

from aar.sandbox import PYTHON, Spec, provider
from aar.sandbox.unprotected import _translated


def test_paths_are_translated_whole() -> None:
    places = {"/work": Path("/a"), "/runtime": Path("/b"), "/work/file": Path("/c")}
    assert _translated("/work/file", places) == "/c"
    assert _translated("/work/other:/runtime/bin:/usr/bin", places) == "/a/other:/b/bin:/usr/bin"
    assert _translated("/workshop -c 'print(1)'", places) == "/workshop -c 'print(1)'"


def test_a_command_finds_what_it_asked_for_and_everything_else(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("shared")
    program = "import os, sys; print(open(sys.argv[1]).read(), os.path.exists('/etc/passwd'), os.getcwd())"
    spec = Spec((*PYTHON, "-c", program, "/data/text"), workspace=tmp_path, read_only={"/data/text": tmp_path / "text"})
    with provider("none").open(spec) as sandbox:
        outcome = sandbox.run()
    assert outcome.stdout == f"shared True {tmp_path}\n"


def test_it_does_not_claim_to_protect() -> None:
    assert provider("bubblewrap").is_isolating
    assert not provider("none").is_isolating
