"""`aar doctor`, which checks this machine, and `aar shell`, which opens the sandbox from inside."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from aar.cli.output import AsJson, echo, echo_json, print_error

SECONDS = 600.0

Full = Annotated[bool, typer.Option("--full", help="Also try everything that the sandbox promises. Takes a minute.")]
Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILE ...]", help="Files to copy into the workspace.")]
Command = Annotated[
    str | None, typer.Option("--command", "-c", metavar="COMMAND", help="Run this command instead of a prompt.")
]


def doctor(as_json: AsJson = False, full: Full = False) -> None:
    """Check this machine, and say how to get what is missing; exit code 1 if something is."""
    from dataclasses import asdict

    from aar.campaign.doctor import diagnose
    from aar.reporting.text import new_table, plain

    checks = diagnose(full=full)
    missing = [check for check in checks if not check.passed]
    if as_json:
        echo_json([asdict(check) for check in checks])
    else:
        table = new_table()
        for name in ("", "check", "found"):
            table.add_column(name, overflow="fold")
        for check in checks:
            table.add_row(plain("ok", "green") if check.passed else plain("no", "red"), check.name, plain(check.detail))
        echo(table, *(f"{check.name}: {check.remedy}" for check in missing))
    if missing:
        raise typer.Exit(1)


def shell(files: Files = None, command: Command = None) -> None:
    """Run commands in a sandbox like a researcher's, in a workspace that is removed at the end.

    Control characters in their output are replaced.
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
                    print_error(f"killed: {reply.killed}. The next command gets a new shell in the same workspace.")
                code = 1 if reply.exit_code is None else reply.exit_code
    raise typer.Exit(code)


def _typed() -> Iterator[str]:
    """Yield lines from standard input, with a prompt on a terminal."""
    while True:
        if sys.stdin.isatty():
            sys.stdout.write("sandbox$ ")
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        yield line
