"""A person's post: through the commons actor while the campaign runs, because it is then the only one who writes."""

import os
import uuid
from pathlib import Path
from typing import Any

from aar.campaign.folder import is_running, stored_config
from aar.cli.places import forum_file
from aar.commons.forum import Forum
from aar.commons.posts import Kind, Post
from aar.config import CampaignConfig
from aar.errors import CampaignError, ForumError, StorageError
from aar.scoring.records import PLATFORM


def post(folder: Path, author: str, kind: Kind, title: str, body: str, links: dict[str, Any]) -> Post:
    """Add a post to the forum of the campaign in `folder`; `links` are the forum's reply_to, experiment and snapshot.

    Raises:
        ForumError: the post is refused, or `author` is a researcher of the campaign or the platform.
        StorageError: there is no forum yet.
        CampaignError: the campaign runs and its commons cannot be reached.
    """
    config, key = stored_config(folder), f"person/{uuid.uuid4()}"
    if author.casefold() in {PLATFORM, *(researcher.name for researcher in config.researchers)}:
        raise ForumError(f'"{author}" is no person of this campaign; give your own name: --author')
    if is_running(folder):
        return _through_actor(config, author, kind, title, body, key=key, **links)
    file = forum_file(folder)
    if not file.is_file():
        raise StorageError(f"{file}: the campaign has no forum yet. Start it first with `aar run`.")
    forum = Forum(file)
    try:
        return forum.post(author, kind, title, body, key=key, **links)
    finally:
        forum.close()


def _through_actor(config: CampaignConfig, *arguments: str, **named: Any) -> Post:
    address = config.cluster.address or os.environ.get("RAY_ADDRESS")
    if not address:  # a local cluster of aar's asks for its token; Ray reads this when it is imported
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    from aar.remote import COMMONS, result

    namespace = f"aar-{config.name}"
    try:
        ray.init(address=address or "auto", namespace=namespace, log_to_driver=False, logging_level="ERROR")
        commons = ray.get_actor(COMMONS, namespace)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CampaignError(
            f"{config.name} runs, but its commons was not reached ({error}). It may be starting: try again. If it runs "
            "on a cluster elsewhere, or beside other clusters, set RAY_ADDRESS to its cluster's address."
        ) from None
    written: Post = result(commons.post.remote(*arguments, **named))
    return written
