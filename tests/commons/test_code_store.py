"""The code store: snapshots, their history, and what it refuses."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aar.commons.code_store import CodeStore, Snapshot, files_digest
from aar.errors import CodeStoreError, StorageError, UntrustedFileError

METHOD = {"method.py": b"def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CodeStore]:
    store = CodeStore(tmp_path / "code.git")
    yield store
    store.close()


def publish(
    store: CodeStore,
    files: dict[str, bytes],
    parent: str | None = None,
    *,
    author: str = "ada",
    message: str = "a method",
    key: str = "k",
) -> Snapshot:
    return store.publish(author, files, message, parent, key=key)


def test_a_snapshot_comes_back_byte_for_byte(store: CodeStore) -> None:
    files = {"method.py": b"x = 1", "notes/é \"'.md": b"", "a/b/c.bin": bytes(range(256)), ".hidden": b"\n\n"}
    made = publish(store, files, author="Ada L.", message=" why\n\nbecause é ")
    assert store.checkout(made.id) == files
    assert store.snapshot(made.id) == made
    assert (made.author, made.parent, made.message.text) == ("Ada L.", None, "why\n\nbecause é")


def test_a_snapshot_holds_its_own_files_only_and_knows_what_it_was_built_on(store: CodeStore) -> None:
    first = publish(store, {"old.py": b"1"}, key="1")
    second = publish(store, {"new.py": b"2"}, first.id, key="2")
    sibling = publish(store, {"other.py": b"3"}, first.id, key="3")
    assert (second.parent, sibling.parent) == (first.id, first.id)
    assert list(store.checkout(second.id)) == ["new.py"]


def test_diff_is_unified_text(store: CodeStore) -> None:
    first = publish(store, {"method.py": b"a\nb\n", "é.py": b""}, key="1")
    second = publish(store, {"method.py": b"a\nc\n", "é.py": b"\xff\n"}, first.id, key="2")
    diff = store.diff(first.id, second.id).text
    assert "--- a/method.py\n+++ b/method.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n" in diff
    assert "b/é.py" in diff
    assert store.diff(first.id, first.id).text == ""


def test_diff_and_checkout_do_not_obey_the_files(store: CodeStore) -> None:
    attributes = b"* export-ignore ident -diff text eol=crlf filter=x\n"
    first = publish(store, {".gitattributes": attributes, "a.py": b"$Id$\n"}, key="1")
    second = publish(store, {".gitattributes": attributes, "a.py": b"$Id$ \n"}, key="2")
    assert store.checkout(first.id)["a.py"] == b"$Id$\n"
    assert "+$Id$ \n" in store.diff(first.id, second.id).text


def test_the_log_is_newest_first_even_within_a_second_and_after_reopening(tmp_path: Path, store: CodeStore) -> None:
    made = [publish(store, METHOD, key=f"{n}") for n in range(3)]
    store.close()
    with_more = CodeStore(tmp_path / "code.git")
    made += [publish(with_more, METHOD, key=f"{n}") for n in range(3, 6)]
    assert with_more.log() == made[::-1]
    assert with_more.log(2) == [made[5], made[4]]
    with_more.close()


def test_an_empty_store_has_an_empty_log(store: CodeStore) -> None:
    assert store.log() == []
    with pytest.raises(CodeStoreError, match="the limit is 0; it must be at least 1"):
        store.log(0)


def test_the_same_key_answers_as_before_and_changes_nothing(store: CodeStore) -> None:
    made = publish(store, METHOD)
    assert publish(store, METHOD, message=" a method\n") == made
    assert store.log() == [made]


def test_the_same_key_for_something_else_is_refused(store: CodeStore) -> None:
    made = publish(store, METHOD)
    others = ({"files": {"m.py": b""}}, {"author": "bob"}, {"message": "changed"}, {"parent": made.id})
    for other in others:
        with pytest.raises(CodeStoreError, match='key "k" was used before'):
            publish(store, **({"files": METHOD} | other))
    assert store.log() == [made]


def test_ids_may_be_shortened_to_seven_digits(store: CodeStore) -> None:
    made = publish(store, METHOD)
    assert store.resolve(made.id[:7].upper()) == made.id
    assert store.checkout(made.id[:12]) == METHOD
    assert publish(store, METHOD, made.id[:7], key="2").parent == made.id


@pytest.mark.parametrize(
    "id", ["0" * 40, "abcdef0", "abc", "", "HEAD", "--all", "0" * 41, "refs/snapshots/x", "zzzzzzz"]
)
def test_an_unknown_id_is_refused_everywhere(store: CodeStore, id: str) -> None:
    made = publish(store, METHOD)
    calls = (store.resolve, store.checkout, store.snapshot, lambda id: store.diff(made.id, id))
    for call in (*calls, lambda id: publish(store, METHOD, id, key="2")):
        with pytest.raises(CodeStoreError, match=r"there is no snapshot|is not a snapshot id"):
            call(id)


def test_only_snapshots_have_ids_not_the_trees_and_files_in_them(store: CodeStore, tmp_path: Path) -> None:
    made = publish(store, METHOD)
    git = ["git", "--git-dir", str(tmp_path / "code.git"), "rev-parse"]
    for inner in ("^{tree}", ":method.py"):
        id = subprocess.check_output([*git, made.id + inner], text=True).strip()
        with pytest.raises(CodeStoreError, match="there is no snapshot"):
            store.checkout(id)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../up", "a/../b", "./a", "a//b", "a/", "..", ".", ".git/hooks/post-update", "a/.GIT"),
        *(".git", "GIT~1/config", ".git./x", ".git /x", ".git::$DATA", ".g\u200cit/config", "a\\b", "a\nb", "a\x00b"),
        *("\x1b[2J", "\ud800", "x" * 256, "é" * 128, "\u202egpj.py", "x" * 1_000_000, "a/" * 16 + "b", "a\u2028b"),
        *("\uff0egit/x", ".\uff47it", "\u2024GIT", ".g\u034fit", "\u3164", "a\U000e0041"),
    ],
)
def test_a_dangerous_file_name_is_refused(store: CodeStore, name: str) -> None:
    with pytest.raises(UntrustedFileError, match="the file name") as refusal:
        publish(store, {"ok.py": b"", name: b""})
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 300
    assert store.log() == []


@pytest.mark.parametrize(
    "name",
    [
        *(".gitignore", "git.py", "...", "a.git/x", "x" * 255, "-rf", "a b", '"q"', "a:b", "~/x", "日本"),
        *("a/" * 15 + "b", "\u26a0\ufe0f.md", "--done", "M 100644 inline x"),
    ],
)
def test_an_unusual_but_harmless_file_name_is_kept(store: CodeStore, name: str) -> None:
    assert store.checkout(publish(store, {name: b"1"}).id) == {name: b"1"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1, max_size=12), st.binary(max_size=50), min_size=1, max_size=4))
def test_any_files_are_kept_exactly_or_refused(store: CodeStore, files: dict[str, bytes]) -> None:
    try:
        made = publish(store, files, key=f"{sorted(files.items())}".encode("ascii", "backslashreplace").hex()[:200])
    except (CodeStoreError, UntrustedFileError) as refusal:
        assert "file" in str(refusal) or "key" in str(refusal)
    else:
        assert store.checkout(made.id) == files


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "1 to 200 files, not 0"),
        ({f"{n}.py": b"" for n in range(201)}, "1 to 200 files, not 201"),
        ({"big.bin": bytes(1024 * 1024 + 1)}, "'big.bin' has 1048577 bytes"),
        ({f"{n}.bin": bytes(1024 * 1024) for n in range(9)}, "9437184 bytes in all"),
        ({"a": b"", "a/b": b""}, "'a' is a file and also the folder"),
        ({"README": b"", "Readme": b""}, "'README' and 'Readme' are alike"),
        ({"Lib/a": b"", "lib/b": b""}, "'Lib' and 'lib' are alike"),
        ({"e\u0301": b"", "\u00e9": b""}, "are alike"),
    ],
)
def test_too_many_or_too_large_files_are_refused(store: CodeStore, files: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(UntrustedFileError, match=complaint):
        publish(store, files)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"author": ""}, "author is empty"),
        ({"author": "a <b@c>"}, 'author has blanks around it, or "<"'),
        ({"author": "a\nb"}, "author has a line break"),
        ({"message": " \n"}, "message is empty"),
        ({"message": "x" * 20_000}, "message has 20000 bytes"),
        ({"message": "\x1b[2J"}, "message has"),
        ({"key": ""}, "idempotency key is empty"),
    ],
)
def test_an_unusable_author_message_or_key_is_refused(store: CodeStore, said: dict[str, str], complaint: str) -> None:
    with pytest.raises(CodeStoreError, match=complaint):
        publish(store, METHOD, **said)


def test_the_users_git_configuration_and_variables_have_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(
        f"[core]\nhooksPath={hook.parent}\n[diff]\nexternal=false\n[color]\nui=always\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "someone else")
    store = CodeStore(tmp_path / "code.git")
    first, second = publish(store, METHOD, key="1"), publish(store, {"method.py": b"2\n"}, key="2")
    assert "+2\n" in store.diff(first.id, second.id).text
    assert store.log()[0].author == "ada"


def test_a_reader_follows_the_writer_and_cannot_write(tmp_path: Path, store: CodeStore) -> None:
    reader = CodeStore(tmp_path / "code.git", read_only=True)
    made = publish(store, METHOD)
    assert reader.log() == [made]
    assert reader.checkout(made.id) == METHOD
    with pytest.raises(StorageError, match="reading only"):
        publish(reader, METHOD, key="2")


def test_a_reader_says_when_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no code store"):
        CodeStore(tmp_path / "code.git", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_git_itself_finds_the_store_in_order(store: CodeStore, tmp_path: Path) -> None:
    first = publish(store, METHOD, key="1")
    publish(store, {"é/a.py": b"1"}, first.id, author="Ünal", message="é", key="2")
    git = ["git", "--git-dir", str(tmp_path / "code.git")]
    checked = subprocess.run([*git, "fsck", "--strict", "--full"], capture_output=True, text=True, check=True)
    assert "error" not in checked.stderr
    assert subprocess.check_output([*git, "log", "--all", "--format=%an: %s"], text=True) == "Ünal: é\nada: a method\n"


def test_a_digest_of_files_depends_on_names_and_contents_but_not_on_their_order() -> None:
    files = {"a.py": b"1", "b.py": b"2"}
    assert files_digest(files) == files_digest(dict(reversed(files.items())))
    others = [{"a.py": b"1"}, {"a.py": b"2", "b.py": b"1"}, {"a.py": b"1", "c.py": b"2"}, {"a.py": b"1b.py2"}]
    assert len({files_digest(each) for each in (files, *others)}) == 5


def test_a_store_that_was_closed_only_reads(store: CodeStore, tmp_path: Path) -> None:
    made = publish(store, METHOD)
    store.close()
    assert store.checkout(made.id) == METHOD
    with pytest.raises(StorageError, match="opened for reading only"):
        publish(store, METHOD, key="2")
    successor = CodeStore(tmp_path / "code.git")
    assert publish(successor, METHOD, made.id, key="2").parent == made.id
    successor.close()
