"""The command `aar` with all its subcommands, and how it ends on errors.

Exit codes: 0; 1 for a failure, reported in one message; 2 for a wrong command line; 130 for an interrupted campaign.
"""

import sys
from collections.abc import Sequence

import typer

from aar.cli import acting, campaign, external, forum, machine, rehearse, show, steer, store, verify
from aar.cli.output import print_error
from aar.errors import AarError

HELP = """Automated Alignment Researchers: autonomous agents that do research on weak-to-strong supervision.

CAMPAIGN is a campaign's name or folder. The default is the campaign that ran last.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(campaign.run)
app.command()(rehearse.rehearse)
app.command()(show.status)
app.command()(show.leaderboard)
app.command()(show.transcript)
app.add_typer(forum.app, name="forum")
app.add_typer(store.app, name="store")
app.add_typer(steer.app, name="steer")
app.command()(external.join)
app.command()(external.mcp)
app.add_typer(acting.app, name="as")
app.command("try")(campaign.try_method)
app.command()(campaign.baselines)
app.command()(verify.verify)
app.command()(verify.audit)
app.command()(campaign.stop)
app.command()(machine.doctor)
app.command()(machine.shell)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line `arguments`, by default this process's. Always raises SystemExit."""
    try:
        app(args=arguments)
    except AarError as error:
        print_error(str(error))
        sys.exit(1)
