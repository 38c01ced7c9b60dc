"""`aar verify` and `aar audit`: can a score be trusted?"""

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
    seeds: Annotated[int, typer.Option(min=2, max=64, help="The number of fresh seeds.")] = DEFAULTS.seeds,
    control: Annotated[list[str] | None, typer.Option(help="A control to run.", show_default="all")] = None,
    transfer: Annotated[bool, typer.Option(help="Also use the datasets that researchers do not see.")] = True,
    as_json: AsJson = False,
) -> None:
    """Rerun a method from scratch on fresh seeds, score it on the sealed test items, and run the controls."""
    from dataclasses import asdict

    from aar.campaign.folder import find_campaign
    from aar.cli.campaign import view
    from aar.reporting.results import verification_report

    settings = _settings(seeds, control, transfer)
    folder = find_campaign(campaign)
    from aar.campaign.verification import verify as run_verification  # imports Ray

    try:
        with view(to_stderr=as_json) as current:
            state, verified = run_verification(folder, experiment, settings, current)
    except KeyboardInterrupt:
        from aar.cli.output import print_error

        print_error("stopped; nothing is lost. The same command resumes it.")
        raise typer.Exit(130) from None
    result = next(each for each in reversed(state.verifications) if each.experiment == verified.id)
    if as_json:
        return echo_json(asdict(result))
    echo(verification_report(state, result))


def audit(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Look for signs of cheating in a campaign's folder; exit code 1 if there is more than notes."""
    from dataclasses import asdict

    from aar.campaign.audit import REPORT_FILE, audit_campaign
    from aar.campaign.folder import find_campaign
    from aar.reporting.text import printable

    folder = find_campaign(campaign)
    findings = audit_campaign(folder)
    if as_json:
        echo_json([asdict(finding) for finding in findings])
    else:
        echo(printable((folder / REPORT_FILE).read_text()), f"Report: {folder / REPORT_FILE}")
    if any(finding.grade != "note" for finding in findings):
        raise typer.Exit(1)


def _settings(seeds: int, controls: list[str] | None, transfer: bool) -> VerificationConfig:
    unknown = [name for name in controls or [] if name not in DEFAULTS.controls]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not a control; expected one of: {', '.join(DEFAULTS.controls)}")
    chosen = cast(list[Control], controls) if controls else DEFAULTS.controls
    return VerificationConfig(seeds=seeds, controls=chosen, transfer=transfer)
