"""`aar shell`: the sandbox from inside, as a researcher's commands see it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from aar.cli.output import print_error

SECONDS = 600.0

Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILE ...]", help="Copied into the workspace.")]
Command = Annotated[
    str | None, typer.Option("--command", "-c", metavar="COMMAND", help="Run this one command instead of asking.")
]


def shell(files: Files = None, command: Command = None) -> None:
    """Run commands where a researcher's run: behind the wall, in a workspace that is removed at the end.

    What they print is shown without what a terminal would act on.
    """
    import shutil
    import tempfile

    from aar.reporting.text import printable
    from aar.sandbox import Limits, Shell, provider, require_sandbox

    require_sandbox()
    with tempfile.TemporaryDirectory(prefix="aar-shell-") as folder:
        for file in files or []:
            try:
                shutil.copy(file, folder)
            except OSError as error:
                print_error(f"{file}: {error.strerror}. Give files that can be read.")
                raise typer.Exit(1) from None
        with Shell(provider("bubblewrap"), Path(folder), Limits()) as sandbox:
            code = 0
            for line in [command] if command is not None else _typed():
                reply = sandbox.run(line, SECONDS)
                sys.stdout.write(printable(reply.output))
                if reply.killed:
                    print_error(f"killed: {reply.killed}. The next command finds a fresh shell in the same workspace.")
                code = 1 if reply.exit_code is None else reply.exit_code
    raise typer.Exit(code)


def _typed() -> Iterator[str]:
    """Lines from standard input, with a prompt where a person types them."""
    while True:
        if sys.stdin.isatty():
            sys.stdout.write("sandbox$ ")
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        yield line
