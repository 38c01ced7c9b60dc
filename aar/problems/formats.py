"""Strict readers of the published JSONL formats.

A folder holds train_label.jsonl, train_unlabel.jsonl and test.jsonl, UTF-8, one JSON object per line, either

* preference: `prompt`, `first`, `second` (texts) and `label`: "A" or 0 for `first`, "B" or 1 for `second` (the better);
* binary: `question`, `choice` (texts) and `label`: false, "False" or 0; true, "True" or 1.

Further fields are ignored. Anything else is an error that names the file, the line, the field and what was expected.
"""

import json
from pathlib import Path
from typing import Any

from aar.errors import ProblemError
from aar.problems.dataset import SPLITS, Example, Judgement, Kind, Preference, Row, SplitName

_FIELDS: dict[Kind, tuple[str, ...]] = {"preference": ("prompt", "first", "second"), "binary": ("question", "choice")}
_LABELS: dict[Kind, tuple[tuple[str | bool, ...], tuple[str | bool, ...]]] = {
    "preference": (("A",), ("B",)),
    "binary": (("False", False), ("True", True)),
}
_EXPECTED: dict[Kind, str] = {"preference": '0, 1, "A" or "B"', "binary": '0, 1, false, true, "False" or "True"'}
_FIX = "Fix the line or remove it."


def read_folder(folder: Path) -> tuple[Kind, dict[SplitName, list[Row]]]:
    """Read the kind of the dataset in a folder and the rows of its splits, in the order of the files.

    Raises:
        ProblemError: a file is missing, empty or not UTF-8, a row is malformed, or the files are not of one kind.
    """
    read = {split: read_file(folder / f"{split}.jsonl") for split in SPLITS}
    kinds = {split: kind for split, (kind, _) in read.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{split}.jsonl is {kind}" for split, kind in kinds.items())
        raise ProblemError(f"{folder.name}: the files must be of one kind, but {listed}. Give them the same fields.")
    return kinds["test"], {split: rows for split, (_, rows) in read.items()}


def read_file(file: Path) -> tuple[Kind, list[Row]]:
    """Read the kind and the rows of one file. Raises ProblemError as `read_folder` does."""
    where = f"{file.parent.name}/{file.name}"
    try:
        content = file.read_bytes()
    except OSError as error:
        needed = ", ".join(f"{split}.jsonl" for split in SPLITS)
        raise ProblemError(
            f"{where}: cannot be read ({error.strerror}). {file.parent} must be a folder with {needed}."
        ) from None
    # Not splitlines(): U+2028 and the like are allowed inside a JSON text.
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if not lines:
        raise ProblemError(f"{where}: the file is empty. It needs one JSON object per line.")
    objects = [_parse(line, f"{where} line {number}") for number, line in enumerate(lines, 1)]
    kind = _kind_of(objects[0], f"{where} line 1")
    return kind, [_row(item, kind, f"{where} line {number}") for number, item in enumerate(objects, 1)]


def _parse(line: bytes, where: str) -> dict[str, Any]:
    if not line.strip():
        raise ProblemError(f"{where}: the line is blank; expected a JSON object. Remove the line.")
    try:
        item = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ProblemError(f"{where}: byte {error.start + 1} is not UTF-8. Save the file as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ProblemError(f"{where}: not JSON: {error.msg} at column {error.colno}. {_FIX}") from None
    except RecursionError:
        raise ProblemError(f"{where}: not usable JSON: nested too deeply. {_FIX}") from None
    if not isinstance(item, dict):
        raise ProblemError(f"{where}: {_show(item)} is not a JSON object. {_FIX}")
    return item


def _kind_of(item: dict[str, Any], where: str) -> Kind:
    """Return the kind whose fields the row has. Raises ProblemError when it does not have those of exactly one."""
    present = {kind: sum(field in item for field in fields) for kind, fields in _FIELDS.items()}
    complete: list[Kind] = [kind for kind, fields in _FIELDS.items() if present[kind] == len(fields)]
    if len(complete) == 1:
        return complete[0]
    forms = " or ".join(f"{', '.join(fields)}, label ({kind})" for kind, fields in _FIELDS.items())
    raise ProblemError(f"{where}: has the fields {', '.join(item) or '(none)'}; expected {forms}. {_FIX}")


def _row(item: dict[str, Any], kind: Kind, where: str) -> Row:
    texts = [_text(item, field, kind, where) for field in _FIELDS[kind]]
    example: Example = Preference(*texts) if kind == "preference" else Judgement(*texts)
    return example, _label(item, kind, where)


def _text(item: dict[str, Any], field: str, kind: Kind, where: str) -> str:
    if field not in item:
        raise ProblemError(f'{where}: has no "{field}"; the file began as {kind} rows, which need it. {_FIX}')
    value = item[field]
    if not isinstance(value, str):
        raise ProblemError(f'{where}: "{field}" is {_show(value)}; expected a text. {_FIX}')
    try:
        value.encode()
    except UnicodeEncodeError as error:
        reason = f"character {error.start + 1} is half of a surrogate pair"
        raise ProblemError(f'{where}: "{field}" is not valid text: {reason}. {_FIX}') from None
    return value


def _label(item: dict[str, Any], kind: Kind, where: str) -> int:
    if "label" not in item:
        raise ProblemError(f'{where}: has no "label"; expected {_EXPECTED[kind]}. {_FIX}')
    value = item["label"]
    for label, names in enumerate(_LABELS[kind]):
        # Types are compared because False == 0 and 1.0 == 1 in Python.
        if (type(value) is int and value == label) or any(type(value) is type(n) and value == n for n in names):
            return label
    raise ProblemError(f'{where}: "label" is {_show(value)}; expected {_EXPECTED[kind]}. {_FIX}')


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
