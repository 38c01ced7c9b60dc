"""`aar rehearse`: a campaign against a local server that answers for its language models by script."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from aar.cli.campaign import File, Overrides
from aar.cli.output import echo

if TYPE_CHECKING:
    from aar.config import CampaignConfig
    from aar.mock_api.server import Endpoint


def rehearse(
    file: File,
    overrides: Overrides = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Let the endpoint fail now and then, in every possible way.")
    ] = False,
    serve: Annotated[
        int | None, typer.Option(metavar="PORT", help="Only serve until Ctrl-C, and print how to use it.")
    ] = None,
) -> None:
    """Rehearse a campaign before you pay for it: all is real except the thinking, which is scripted and free."""
    from aar.cli.campaign import resumable, run_to_the_end
    from aar.config import load_config
    from aar.errors import ConfigError
    from aar.mock_api.server import MockApi

    config = load_config(file, overrides)
    endpoint = _endpoint(config, faults)
    if serve is not None:
        return _serve(endpoint, serve)
    if config.cluster.address or os.environ.get("RAY_ADDRESS"):
        raise ConfigError(
            "a rehearsal runs on its own Ray, which inherits the endpoint's address; unset RAY_ADDRESS and "
            "cluster.address, or use --serve and give the cluster's nodes the environment that it prints"
        )
    with resumable("rehearse", file, overrides, *(["--faults"] if faults else [])), MockApi(endpoint) as rehearsal:
        os.environ.update(_environment(rehearsal.url))
        changes = [f"name={config.name}-rehearsal"]
        changes += [f"folder={config.folder.with_name(config.folder.name + '-rehearsal')}"] if config.folder else []
        run_to_the_end(load_config(file, [*(overrides or []), *changes]))


def _endpoint(config: "CampaignConfig", faults: bool) -> "Endpoint":
    from aar.errors import ConfigError
    from aar.mock_api.scenarios import assign
    from aar.mock_api.script import EVERY_KIND
    from aar.mock_api.server import Endpoint

    names = [researcher.name for researcher in config.researchers if researcher.brain == "claude"]
    if not names:
        raise ConfigError('no researcher of this campaign has brain = "claude", so there is nothing to rehearse')
    return Endpoint(assign(names), EVERY_KIND if faults else None)


def _serve(endpoint: "Endpoint", port: int) -> None:
    import signal

    from aar.mock_api.server import MockApi

    with MockApi(endpoint, port) as rehearsal:
        echo(*(f"export {name}={value}" for name, value in _environment(rehearsal.url).items()))
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


def _environment(url: str) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "rehearsal"}
