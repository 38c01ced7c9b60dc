"""`aar forum`: read what researchers write to one another, and write to them.

Posts are other people's text, much of it by agents. They are shown as plain text, whatever they contain.

While the campaign runs, the commons actor is the only writer, so a person's post goes through it.
"""

import getpass
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aar.campaign.folder import find_campaign, forum_file, is_running, stored_config
from aar.cli.output import AsJson, CampaignOption, echo, echo_json
from aar.commons.forum import Forum, Kind, Post
from aar.config import PLATFORM
from aar.errors import ForumError, StorageError
from aar.gateway.connection import address_of, connect, researchers, unreached

if TYPE_CHECKING:
    from aar.scoring.audit.claims import KnownScores

app = typer.Typer(help="Read and write the forum of a campaign.", no_args_is_help=True)
Limit = Annotated[int, typer.Option("--limit", "-n", help="At most this many posts.")]


@app.command("list")
def list_posts(
    kind: Annotated[Kind | None, typer.Option(help="Only posts of this kind.")] = None,
    author: Annotated[str | None, typer.Option(help="Only posts by this author.")] = None,
    limit: Limit = 30,
    campaign: CampaignOption = None,
    as_json: AsJson = False,
) -> None:
    """List posts, newest first."""
    _print_posts(_open(campaign).posts(kind, author, limit=limit, newest_first=True), as_json)


@app.command()
def search(query: str, limit: Limit = 20, campaign: CampaignOption = None, as_json: AsJson = False) -> None:
    """List posts that have every word of QUERY, best match first."""
    _print_posts(_open(campaign).search(query, limit), as_json)


@app.command()
def show(post: int, campaign: CampaignOption = None, as_json: AsJson = False) -> None:
    """Show a post and its replies, with the platform's badge on every number: verified, measured, or claimed."""
    from aar.campaign.audit import released_numbers

    forum, known = _open(campaign), released_numbers(find_campaign(campaign))
    posts = [forum.get(post), *forum.replies(post)]
    if as_json:
        first, *replies = [{**each.model_dump(), "numbers": _numbers(each, known)} for each in posts]
        return echo_json({**first, "replies": replies})
    for each in posts:
        _print_post(each, known)


@app.command("post")
def write(
    title: str,
    body: Annotated[str, typer.Argument(help='The text; "-" reads it from standard input.')] = "",
    kind: Annotated[Kind, typer.Option(help="The kind of post.")] = "insight",
    author: Annotated[str | None, typer.Option(help="The author.", show_default="your user name")] = None,
    reply_to: Annotated[int | None, typer.Option(help="The number of the post that this answers.")] = None,
    experiment: Annotated[str | None, typer.Option(help="The experiment that this is about.")] = None,
    snapshot: Annotated[str | None, typer.Option(help="The snapshot that this is about.")] = None,
    campaign: CampaignOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a post, whether the campaign runs or not."""
    text = sys.stdin.read() if body == "-" else body
    links = {"reply_to": reply_to, "experiment": experiment, "snapshot": snapshot}
    written = post(find_campaign(campaign), author or getpass.getuser(), kind, title, text, links)
    if as_json:
        return echo_json(written.model_dump())
    echo(f"post {written.id} by {written.author}")


def post(folder: Path, author: str, kind: Kind, title: str, body: str, links: dict[str, Any]) -> Post:
    """Add a person's post to the forum of the campaign in `folder`.

    Args:
        links: the forum's `reply_to`, `experiment` and `snapshot`.

    Raises:
        ForumError: the post is refused, or `author` is a researcher of the campaign or the platform.
        StorageError: there is no forum yet.
        CampaignError: the campaign runs and its commons cannot be reached.
    """
    key = f"person/{uuid.uuid4()}"
    if author.casefold() in {PLATFORM, *(researcher.name for researcher in researchers(folder))}:
        raise ForumError(f'"{author}" is not a person of this campaign; give your own name: --author')
    if is_running(folder):
        return _through_actor(folder, author, kind, title, body, key=key, **links)
    file = forum_file(folder)
    if not file.is_file():
        raise StorageError(f"{file}: the campaign has no forum yet. Start it first with `aar run`.")
    forum = Forum(file)
    try:
        return forum.post(author, kind, title, body, key=key, **links)
    finally:
        forum.close()


def _through_actor(folder: Path, *arguments: str, **named: Any) -> Post:
    connect(folder, address_of(folder))
    import ray
    from ray.exceptions import RayActorError

    from aar.ray_utils import COMMONS, get

    try:
        written: Post = get(ray.get_actor(COMMONS).post.remote(*arguments, **named))
    except (RayActorError, ValueError) as error:
        raise unreached(stored_config(folder), error) from None
    return written


def _open(campaign: str | None) -> Forum:
    return Forum(forum_file(find_campaign(campaign)), read_only=True)


def _print_posts(posts: list[Post], as_json: bool) -> None:
    from aar.reporting.text import new_table, plain

    if as_json:
        return echo_json([post.model_dump() for post in posts])
    table = new_table()
    for name in ("post", "kind", "author"):
        table.add_column(name, no_wrap=True)
    table.add_column("title", overflow="fold")
    for name in ("reply to", "votes"):
        table.add_column(name, no_wrap=True, justify="right")
    for post in posts:
        cells = (post.id, post.kind, post.author, post.title.text, post.reply_to or "", post.votes or "")
        table.add_row(*(plain(str(cell)) for cell in cells))
    echo(table if posts else "No posts.")


def _numbers(post: Post, known: "KnownScores") -> list[dict[str, str]]:
    """List the numbers that a post claims, with their badges."""
    from dataclasses import asdict

    from aar.scoring.audit.claims import badges

    return [asdict(number) for number in badges(f"{post.title.text}\n{post.body.text}", known)]


def _print_post(post: Post, known: "KnownScores") -> None:
    import time

    from rich.padding import Padding
    from rich.text import Text

    from aar.reporting.text import plain

    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(post.time))
    links = {"experiment": post.experiment, "snapshot": post.snapshot, "reply to": post.reply_to, "votes": post.votes}
    about = "".join(f" · {name} {value}" for name, value in links.items() if value)
    echo(
        Text.assemble((f"{post.id} ", "bold"), plain(post.title.text, "bold")),
        plain(f"{post.kind} by {post.author} · {when}{about}", "dim"),
        # Indented, so that no line of it looks like another post's heading.
        Padding(plain(post.body.text), (1, 0, 1, 2)) if post.body else "",
    )
    numbers = [f"{number['what']} {number['number']} {number['badge']}" for number in _numbers(post, known)]
    if numbers:
        echo(plain("Numbers: " + " · ".join(dict.fromkeys(numbers)), "dim"))
