"""`aar verify` and `aar audit`: whether a score can be trusted."""

from typing import Annotated, cast

import typer

from aar.cli.output import AsJson, CampaignOption, WhichCampaign, echo, echo_json
from aar.config import Control, VerificationConfig

DEFAULTS = VerificationConfig()


def verify(
    experiment: Annotated[
        str | None, typer.Argument(help="An experiment or snapshot.", show_default="the best of the campaign")
    ] = None,
    campaign: CampaignOption = None,
    seeds: Annotated[int, typer.Option(min=2, max=64, help="How many fresh seeds.")] = DEFAULTS.seeds,
    control: Annotated[list[str] | None, typer.Option(help="A control to run.", show_default="all")] = None,
    transfer: Annotated[bool, typer.Option(help="Also on the datasets that researchers do not see.")] = True,
    as_json: AsJson = False,
) -> None:
    """Rerun a method from nothing on fresh seeds, score it on the sealed test items, and run the controls."""
    from dataclasses import asdict

    from aar.campaign.folder import find_campaign
    from aar.cli.campaign import view
    from aar.reporting.results import verification_report

    settings = _settings(seeds, control, transfer)
    folder = find_campaign(campaign)
    from aar.campaign.verification import verify as run_verification  # imports Ray

    try:
        with view(to_stderr=as_json) as shown:
            state, verified = run_verification(folder, experiment, settings, shown)
    except KeyboardInterrupt:
        from aar.cli.output import print_error

        print_error("stopped; nothing is lost. The same command goes on.")
        raise typer.Exit(130) from None
    found = next(one for one in reversed(state.verifications) if one.experiment == verified.id)
    if as_json:
        return echo_json(asdict(found))
    echo(verification_report(state, found))


def audit(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Look for signs of cheating in what a campaign left; exit code 1 when there is more than notes."""
    from dataclasses import asdict

    from aar.campaign.audit import REPORT_FILE, audit_campaign
    from aar.campaign.folder import find_campaign
    from aar.reporting.text import printable

    folder = find_campaign(campaign)
    findings = audit_campaign(folder)
    if as_json:
        echo_json([asdict(one) for one in findings])
    else:
        echo(printable((folder / REPORT_FILE).read_text()), f"Report: {folder / REPORT_FILE}")
    if any(one.grade != "note" for one in findings):
        raise typer.Exit(1)


def _settings(seeds: int, controls: list[str] | None, transfer: bool) -> VerificationConfig:
    unknown = [name for name in controls or [] if name not in DEFAULTS.controls]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no control; there are: {', '.join(DEFAULTS.controls)}")
    chosen = cast(list[Control], controls) if controls else DEFAULTS.controls
    return VerificationConfig(seeds=seeds, controls=chosen, transfer=transfer)
