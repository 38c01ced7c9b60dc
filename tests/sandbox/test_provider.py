"""The provider without isolation: paths are those of the host, and nothing is hidden from a command."""

from pathlib import Path

from aar.sandbox import PYTHON, Spec, provider
from aar.sandbox.linux.runtime import prepared_runtime


def test_paths_in_a_command_and_its_variables_are_translated_whole(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    work, shown, runtime = tmp_path / "work", tmp_path / "file", prepared_runtime().folder
    work.mkdir()
    program = "import os, sys; print(*sys.argv[1:], os.environ['PLACES'], sep='|')"
    spec = Spec(
        (*PYTHON, "-c", program, "/work/file", "/workshop"),
        workspace=work,
        read_only={"/work/file": shown},
        environment={"PLACES": "/work/other:/runtime/bin:/usr/bin"},
    )
    with provider("none").open(spec) as sandbox:
        outcome = sandbox.run()
    assert outcome.stdout == f"{shown}|/workshop|{work}/other:{runtime}/bin:/usr/bin\n"


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
