"""Tokens of external researchers."""

from pathlib import Path

from aar.researchers.brains.external.credentials import FILE, issue, researcher_of


def test_a_token_names_its_researcher_and_no_other(tmp_path: Path) -> None:
    ada, ben = issue(tmp_path, "ada"), issue(tmp_path, "ben")
    assert (researcher_of(tmp_path, ada), researcher_of(tmp_path, ben)) == ("ada", "ben")
    assert researcher_of(tmp_path, "") is None and researcher_of(tmp_path, ada[:-1]) is None


def test_a_new_token_makes_the_old_one_void(tmp_path: Path) -> None:
    old, new = issue(tmp_path, "ada"), issue(tmp_path, "ada")
    assert (researcher_of(tmp_path, old), researcher_of(tmp_path, new)) == (None, "ada")


def test_the_folder_keeps_no_token_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    token = issue(tmp_path, "ada")
    assert token not in (tmp_path / FILE).read_text()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
