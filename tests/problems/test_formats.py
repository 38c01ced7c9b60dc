"""The published JSONL formats are read strictly: every complaint names file, line, field and what was expected."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aar.errors import ProblemError
from aar.problems.dataset import Judgement, Preference
from aar.problems.formats import read_file, read_folder

CHAT = {"prompt": "Hi", "first": "Hello", "second": "Go away", "label": "A"}
MATH = {"question": "1 + 1?", "choice": "2", "label": True}


def write(folder: Path, rows: Sequence[object], name: str = "test.jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return tmp_path / "chat"


@pytest.mark.parametrize(("label", "expected"), [("A", 0), ("B", 1), (0, 0), (1, 1)])
def test_preference_labels_are_letters_or_numbers(chat: Path, label: object, expected: int) -> None:
    assert read_file(write(chat, [CHAT | {"label": label}])) == (
        "preference",
        [(Preference("Hi", "Hello", "Go away"), expected)],
    )


@pytest.mark.parametrize(("label", "expected"), [(False, 0), (True, 1), ("False", 0), ("True", 1), (0, 0), (1, 1)])
def test_binary_labels_are_truth_values_their_names_or_numbers(chat: Path, label: object, expected: int) -> None:
    assert read_file(write(chat, [MATH | {"label": label}])) == ("binary", [(Judgement("1 + 1?", "2"), expected)])


@pytest.mark.parametrize("label", ["maybe", "a", True, 2, -1, 1.0, None, ["A"], ""])
def test_any_other_preference_label_is_refused(chat: Path, label: object) -> None:
    with pytest.raises(ProblemError, match="line 2"):
        read_file(write(chat, [CHAT, CHAT | {"label": label}]))


@pytest.mark.parametrize("label", ["A", "true", 2, 0.0, None, {}])
def test_any_other_binary_label_is_refused(chat: Path, label: object) -> None:
    with pytest.raises(ProblemError, match="line 2"):
        read_file(write(chat, [MATH, MATH | {"label": label}]))


def test_the_message_says_where_what_and_what_to_do(chat: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        read_file(write(chat, [CHAT] * 811 + [CHAT | {"label": "maybe"}]))
    assert str(caught.value) == (
        'chat/test.jsonl line 812: "label" is "maybe"; expected 0, 1, "A" or "B". Fix the line or remove it.'
    )


def test_further_fields_are_ignored(chat: Path) -> None:
    assert read_file(write(chat, [CHAT | {"subset": "x", "score": 3}])) == read_file(write(chat, [CHAT]))


def test_line_separators_inside_a_text_do_not_split_the_row(chat: Path) -> None:
    file = write(chat, [])
    file.write_text(json.dumps(CHAT | {"first": "a\u2028b\x85c"}, ensure_ascii=False) + "\r\n", newline="")
    assert read_file(file)[1][0][0] == Preference("Hi", "a\u2028b\x85c", "Go away")


def test_the_last_line_may_lack_its_newline(chat: Path) -> None:
    file = write(chat, [])
    file.write_text(json.dumps(CHAT))
    assert len(read_file(file)[1]) == 1


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"", "line 2: the line is blank"),
        (b'{"prompt": "Hi"', "line 2: not JSON: .* at column 16"),
        (b"[" * 100_000, "line 2: not usable JSON: nested too deeply"),
        (b'["Hi"]', r'line 2: \["Hi"\] is not a JSON object'),
        (b'{"prompt": "\xff"}', "line 2: byte 13 is not UTF-8. Save the file as UTF-8"),
        (b'{"prompt": "Hi", "first": "a", "label": 0}', 'line 2: has no "second"; the file began as preference rows'),
        (b'{"prompt": "Hi", "first": "a", "second": "b"}', 'line 2: has no "label"; expected 0, 1, "A" or "B"'),
        (b'{"prompt": 3, "first": "a", "second": "b", "label": 0}', 'line 2: "prompt" is 3; expected a text'),
        (b'{"prompt": "\\ud83d", "first": "a", "second": "b", "label": 0}', 'line 2: "prompt" is not valid text'),
        (
            b'{"question": "Hi", "choice": "a", "label": 0}',
            'line 2: has no "prompt"; the file began as preference rows',
        ),
    ],
)
def test_a_malformed_line_is_named(chat: Path, line: bytes, complaint: str) -> None:
    file = write(chat, [CHAT])
    file.write_bytes(file.read_bytes() + line + b"\n" + json.dumps(CHAT).encode())
    with pytest.raises(ProblemError, match=f"chat/test.jsonl {complaint}"):
        read_file(file)


@pytest.mark.parametrize("row", [{"text": "?"}, {}, CHAT | MATH])
def test_a_first_row_of_no_known_format_is_shown_both_formats(chat: Path, row: object) -> None:
    with pytest.raises(ProblemError, match=r"prompt, first, second, label \(preference\) or question, choice, label"):
        read_file(write(chat, [row]))


def test_an_empty_file_is_an_error(chat: Path) -> None:
    with pytest.raises(ProblemError, match=r"chat/test\.jsonl: the file is empty"):
        read_file(write(chat, []))


def test_a_missing_file_is_an_error_that_lists_the_needed_files(chat: Path) -> None:
    write(chat, [CHAT])
    with pytest.raises(
        ProblemError, match=r"chat/train_label\.jsonl.*must be a folder with train_label\.jsonl, train_un"
    ):
        read_folder(chat)


def test_a_folder_has_three_splits_of_one_kind(chat: Path) -> None:
    for name, rows in (("train_label", [CHAT]), ("train_unlabel", [CHAT] * 2), ("test", [CHAT] * 3)):
        write(chat, rows, f"{name}.jsonl")
    kind, splits = read_folder(chat)
    assert kind == "preference"
    assert {name: len(split) for name, split in splits.items()} == {"train_label": 1, "train_unlabel": 2, "test": 3}


def test_files_of_different_kinds_are_refused(chat: Path) -> None:
    for name, row in (("train_label", CHAT), ("train_unlabel", CHAT), ("test", MATH)):
        write(chat, [row], f"{name}.jsonl")
    with pytest.raises(ProblemError, match=r"train_label\.jsonl is preference, .*test\.jsonl is binary"):
        read_folder(chat)


@given(content=st.binary(max_size=200))
def test_no_content_raises_anything_but_a_problem_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    file.write_bytes(content)
    with pytest.raises(ProblemError):
        read_file(file)
