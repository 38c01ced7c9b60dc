"""`aar status` and `aar leaderboard`: a campaign from its folder, whether it runs or not."""

from aar.cli.output import AsJson, WhichCampaign, say, say_json


def status(campaign: WhichCampaign = None, as_json: AsJson = False) -> None:
    """Show what a campaign is doing, its best score, and its researchers: what is left to each, and what went wrong."""
    import time

    from aar.campaign.folder import find_campaign
    from aar.campaign.state import read_state
    from aar.campaign.troubles import troubles_in
    from aar.reporting.data import state_data
    from aar.reporting.live import dashboard
    from aar.reporting.spending import spending
    from aar.reporting.troubles import troubles_tables

    state = read_state(find_campaign(campaign))
    troubles = troubles_in(state.folder)
    if as_json:
        return say_json(state_data(state, troubles))
    runs = "It runs" if state.running else "It does not run"
    tables = [*spending(state), *troubles_tables(troubles)]
    say(dashboard(state, time.time()), *tables, f"{runs}; folder: {state.folder}")


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
