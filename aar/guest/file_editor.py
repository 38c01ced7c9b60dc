"""The program behind the tool `files`: view, create and edit text files. It runs in the researcher's sandbox.

    python -m aar.guest.file_editor <command.json

It imports the standard library alone. Links that the researcher planted lead no further than its own sandbox.
"""

import json
import os
import sys
from typing import Any, NoReturn

LINES_SHOWN = 400


def main() -> None:
    """Run the command on standard input and print the answer."""
    command = json.load(sys.stdin)
    actions = {"view": view, "create": create, "str_replace": str_replace, "insert": insert}
    try:
        print(actions[command["command"]](command))
    except OSError as error:
        fail(f"{command['path']}: {error.strerror}")


def fail(message: str) -> NoReturn:
    """Print a message for the researcher and exit with an error."""
    print(message)
    sys.exit(1)


def view(command: dict[str, Any]) -> str:
    """Return a file with line numbers, or the names in a folder."""
    path = command["path"]
    if os.path.isdir(path):
        names = sorted(name + "/" * os.path.isdir(os.path.join(path, name)) for name in os.listdir(path))
        return "\n".join(names) or "(empty folder)"
    lines = read(path).splitlines()
    first, last = command.get("view_range") or (1, -1)
    last = len(lines) if last == -1 else min(last, len(lines))
    if not 1 <= first <= max(last, 1):
        fail(f"{path} has {len(lines)} lines; view_range {command['view_range']} is not among them")
    selected = lines[first - 1 : min(last, first - 1 + LINES_SHOWN)]
    numbered = [f"{number:6}\t{line}" for number, line in enumerate(selected, first)]
    if first - 1 + len(selected) < last:
        numbered.append(f"({len(lines)} lines in all; continue with view_range [{first + len(selected)}, -1])")
    return "\n".join(numbered) or "(empty file)"


def create(command: dict[str, Any]) -> str:
    """Write a file, new or not."""
    path = command["path"]
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write(path, command["file_text"])
    return f"wrote {len(command['file_text'].splitlines())} lines to {path}"


def str_replace(command: dict[str, Any]) -> str:
    """Replace a text that occurs exactly once."""
    path, old, new = command["path"], command["old_str"], command["new_str"]
    text = read(path)
    count = text.count(old)
    if count != 1:
        fail(f"old_str occurs {count} times in {path}; it must occur exactly once: view the file and copy more of it")
    at = text[: text.index(old)].count("\n") + 1
    write(path, text.replace(old, new))
    return f"edited {path} at line {at}"


def insert(command: dict[str, Any]) -> str:
    """Insert lines after a line; 0 is before the first."""
    path, line = command["path"], command["insert_line"]
    lines = read(path).splitlines(keepends=True)
    if not 0 <= line <= len(lines):
        fail(f"{path} has {len(lines)} lines; insert_line {line} is not among them")
    if line and not lines[line - 1].endswith("\n"):
        lines[line - 1] += "\n"
    text = command["insert_text"]
    write(path, "".join([*lines[:line], text if text.endswith("\n") else text + "\n", *lines[line:]]))
    return f"inserted {len(text.splitlines())} lines after line {line} of {path}"


def read(path: str) -> str:
    """Read a text file."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        fail(f"{path} is not a text file; look at it with bash")


def write(path: str, text: str) -> None:
    """Write a file whole or not at all."""
    staged = f"{path}.part"
    with open(staged, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    if os.path.exists(path):
        os.chmod(staged, os.stat(path).st_mode & 0o777)
    os.replace(staged, os.path.realpath(path))


if __name__ == "__main__":
    main()
