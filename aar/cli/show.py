"""`aar status` and `aar leaderboard`: a campaign from its folder, whether it runs or not."""

from aar.cli.output import AsJson, WhichCampaign, say, say_json


def status(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Show what a campaign is doing, its researchers and its best score."""
    import time

    from aar.campaign.folder import find_campaign
    from aar.campaign.state import read_state
    from aar.reporting.data import state_data
    from aar.reporting.live import dashboard
    from aar.reporting.spending import spending, troubles

    state = read_state(find_campaign(campaign))
    if as_json:
        return say_json(state_data(state))
    runs = "It runs" if state.running else "It does not run"
    everybody = dashboard(state, time.time(), most=len(state.researchers))
    say(everybody, *spending(state), *troubles(state), f"{runs}; folder: {state.folder}")


def leaderboard(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Show the experiments of a campaign by score, with the references, and what was verified."""
    from aar.campaign.folder import find_campaign
    from aar.campaign.state import read_state
    from aar.reporting.data import leaderboard_data
    from aar.reporting.summary import summary

    state = read_state(find_campaign(campaign))
    if as_json:
        return say_json(leaderboard_data(state))
    say(summary(state))
