"""A person's post: through the commons actor while the campaign runs, because it is then the only one who writes."""

import uuid
from pathlib import Path
from typing import Any

from aar.campaign.folder import is_running, stored_config
from aar.cli.places import forum_file
from aar.commons.forum import Forum
from aar.commons.posts import Kind, Post
from aar.errors import ForumError, StorageError
from aar.gateway.link import address_of, connect, researchers, unreached
from aar.scoring.records import PLATFORM


def post(folder: Path, author: str, kind: Kind, title: str, body: str, links: dict[str, Any]) -> Post:
    """Add a post to the forum of the campaign in `folder`; `links` are the forum's reply_to, experiment and snapshot.

    Raises:
        ForumError: the post is refused, or `author` is a researcher of the campaign or the platform.
        StorageError: there is no forum yet.
        CampaignError: the campaign runs and its commons cannot be reached.
    """
    key = f"person/{uuid.uuid4()}"
    if author.casefold() in {PLATFORM, *(researcher.name for researcher in researchers(folder))}:
        raise ForumError(f'"{author}" is no person of this campaign; give your own name: --author')
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

    from aar.remote import COMMONS, result

    try:
        written: Post = result(ray.get_actor(COMMONS).post.remote(*arguments, **named))
    except (RayActorError, ValueError) as error:
        raise unreached(stored_config(folder), error) from None
    return written
