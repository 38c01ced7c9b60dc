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
from aar.errors import CampaignError, StorageError


def post(folder: Path, author: str, kind: Kind, title: str, body: str, links: dict[str, Any]) -> Post:
    """Add a post to the forum of the campaign in `folder`; `links` are the forum's reply_to, experiment and snapshot.

    Raises:
        ForumError: the post is refused.
        StorageError: there is no forum yet.
        CampaignError: the campaign runs and its commons cannot be reached.
    """
    key = f"person/{uuid.uuid4()}"
    if is_running(folder):
        return _through_actor(stored_config(folder), author, kind, title, body, key=key, **links)
    file = forum_file(folder)
    if not file.is_file():
        raise StorageError(f"{file}: the campaign has no forum yet. Start it first with `aar run`.")
    forum = Forum(file)
    try:
        return forum.post(author, kind, title, body, key=key, **links)
    finally:
        forum.close()


def _through_actor(config: CampaignConfig, *arguments: str, **named: Any) -> Post:
    import ray

    from aar.commons.actor import NAME
    from aar.remote import result

    namespace = f"aar-{config.name}"
    try:
        _join_cluster(config, namespace)
        commons = ray.get_actor(NAME, namespace)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CampaignError(
            f"{config.name} runs, but its commons was not reached ({error}). It may be starting: try again. If it runs "
            "on a cluster elsewhere, set RAY_ADDRESS to that cluster's address."
        ) from None
    written: Post = result(commons.post.remote(*arguments, **named))
    return written


def _join_cluster(config: CampaignConfig, namespace: str) -> None:
    """Connect to the cluster of a running campaign, with the token that `aar run` made for a local one."""
    import ray

    from aar.campaign.cluster import TOKEN_FILE

    address = config.cluster.address or os.environ.get("RAY_ADDRESS")
    token = TOKEN_FILE.expanduser()
    if not address and token.is_file():
        os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN_PATH"] = "token", str(token)
    ray.init(address=address or "auto", namespace=namespace, log_to_driver=False, logging_level="ERROR")
