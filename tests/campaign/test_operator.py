"""What an operator sees of a campaign that runs: where everything is, its numbers in Prometheus, and its log lines."""

import json
import re
import shlex
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from aar.campaign.state import read_state
from aar.logs import LINE_CHARACTERS
from tests.campaign.tiny_campaign import finish, kill, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.campaign]

ACTORS = ("commons", "scorer", "compute", "experiments", "researcher-ada", "researcher-ben")
LINES = (
    r"aar.scoring.actor: e\d+ by ada: admitted, snapshot \w{10}",
    r"aar.scoring.actor: baselines of marked: teacher 0.\d+, ceiling \d.\d+ after \d+.\d s",
    r"aar.scoring.actor: e\d+ by ben: scored, .+",
    r"aar.scoring.actor: verification of e\d+: concluded after \d+.\d s",
    r"aar.compute.actor: FineTune \w{12} for ada: queued; \d+ wait, \d+ run",
    r"aar.compute.actor: FineTune \w{12} for ada: \d+.\d s",
    r"aar.compute.worker: worker 0 of 1 on cpu",
    r"aar.experiments.actor: e\d+ by ada: run on marked, seed \d+ ended after \d+.\d s",
    r"aar.experiments.actor: e\d+ by ben: (scored|failed) after \d+.\d s",
    r"aar.experiments.method_sandbox: sandbox [\w-]+: runs a method of ada",
    r"aar.sandbox.sandbox: sandbox [\w-]+: (exit code 0|killed: .+) after \d+.\d s",
    r"aar.commons.actor: post \d+ by ben: result, \d+ bytes",
    r"aar.ray_utils: commons: restarted in process \d+",
    r"aar.campaign.run: campaign: verifying e\d+ on 2 fresh seeds .+",
    r"aar.campaign.run: stopping the actors",
)


def output_of(process: "subprocess.Popen[str]", beginning: str) -> str:
    """The rest of the first line of a process's output that begins so; what is before it is read, too."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return line.removeprefix(beginning).strip()
    raise AssertionError(f"no line begins with {beginning}")


def exported(session: Path) -> str:
    """What Prometheus reads of a Ray: from the addresses that Ray writes down for it."""
    pages = []
    [group] = json.loads((session / "prom_metrics_service_discovery.json").read_text())
    for target in group["targets"]:
        with suppress(OSError), urllib.request.urlopen(f"http://{target}/metrics") as page:  # it may start just now
            pages.append(page.read().decode())
    return "\n".join(pages)


def all_metrics_are_in(text: str) -> bool:
    names = ("queue_requests", "requests_total", "request_seconds_total", "experiments", "sandboxes", "posts_total")
    with_campaign = (rf'^ray_aar_{name}{{.*campaign="tiny".*}} [\d.e+-]+$' for name in names)
    of_researcher = r'^ray_aar_dollars{.*campaign="tiny".*researcher="ada".*} [\d.e+-]+$'
    return all(re.search(line, text, re.MULTILINE) for line in (*with_campaign, of_researcher))


def test_a_campaign_is_seen_from_its_start_to_its_end(tiny: Path, free_port: int) -> None:
    folder = tiny.parent / "campaign"
    process = start("run", tiny, "budget.experiments_per_researcher=12")  # longer than metrics take to be exported
    assert output_of(process, "Folder: ") == str(folder)
    logs = Path(output_of(process, "Logs: ").removesuffix(" (also in the dashboard)"))
    place, _, command = output_of(process, "Dashboard: ").partition(" ")
    assert place == f"http://127.0.0.1:{free_port}" and "Authentication Token Required" in command
    [command] = re.findall("`(.+)`", command)
    token = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout
    with urllib.request.urlopen(
        urllib.request.Request(f"{place}/api/version", headers={"Authorization": f"Bearer {token}"})
    ) as answer:
        assert answer.status == 200

    wait_for("research", lambda: (folder / "scores.sqlite").exists() and len(read_state(folder).experiments) > 2)
    wait_for("numbers", lambda: all_metrics_are_in(exported(logs.parent)))
    assert kill(process, "Commons")  # after that: a new process has counted no posts yet, and may never
    output = finish(process)
    assert token.strip() not in output and "baselines: 9 of 9 fits done" in output

    files = [*logs.glob("worker-*.err"), logs / "aar-driver-tiny.log"]
    lines = [
        line for file in files for line in file.read_text().splitlines() if re.match(r"\d.* (INFO|WARNING) aar\.", line)
    ]
    for actor in ACTORS:
        assert any(f"{actor}: started in process" in line for line in lines), actor
    for form in LINES:
        assert any(re.search(f" INFO {form}$", line) for line in lines), form
    assert all(line.isprintable() and len(line) <= LINE_CHARACTERS for line in lines)
