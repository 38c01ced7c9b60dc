"""Metrics, through a real Ray to its Prometheus endpoint; and what is counted where Ray does not run."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from aar import metrics
from aar.metrics import ALL, Counter, Gauge, Metric

DASHBOARD = json.loads((Path(__file__).parents[1] / "docs" / "grafana.json").read_text())
EXPORTED = {f"ray_{one.name}_total" if isinstance(one, Counter) else f"ray_{one.name}": one for one in ALL}
"""Metrics by the names that Ray's endpoint gives them."""


class Recorder:
    """Records metrics in a process of its own, under labels that no other test's actors use."""

    def record(self) -> None:
        metrics.REQUESTS.add(2, kind="Recorded", status="answered")
        metrics.REQUESTS.add(kind="Recorded", status="answered")
        metrics.REQUESTS.add(0, kind="Unrecorded", status="answered")
        metrics.REQUEST_SECONDS.add(1.5, kind="Recorded")
        metrics.DOLLARS.set(0.75, researcher="recorder")
        for by in (+1, +1, -1):
            metrics.SANDBOXES.change(by, kind="recorded")


@pytest.fixture
def exported(ray_session: None) -> Iterator[str]:
    """What Ray's Prometheus endpoint on this node says after something was recorded."""
    actor = ray.remote(Recorder).options(namespace="aar-little", name="recorder").remote()
    ray.get(actor.record.remote())
    until, text = time.monotonic() + 60, ""
    while value(text, "ray_aar_sandboxes", kind="recorded") is None and time.monotonic() < until:
        time.sleep(1)
        [node] = ray.nodes()
        with urllib.request.urlopen(f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics") as page:
            text = page.read().decode()
    yield text
    ray.kill(actor)


def value(text: str, name: str, **labels: str) -> float | None:
    """The value of the series that has these labels among its own."""
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and all(f'{key}="{label}"' in line for key, label in labels.items()):
            return float(line.rpartition(" ")[2])
    return None


def test_what_was_recorded_comes_out_of_rays_prometheus_endpoint(exported: str) -> None:
    assert value(exported, "ray_aar_requests_total", kind="Recorded", status="answered") == 3
    assert value(exported, "ray_aar_requests_total", kind="Unrecorded") is None
    assert value(exported, "ray_aar_request_seconds_total", kind="Recorded") == 1.5
    assert value(exported, "ray_aar_dollars", researcher="recorder") == 0.75
    assert value(exported, "ray_aar_sandboxes", kind="recorded") == 1


def test_without_ray_nothing_is_counted_and_ray_is_not_imported() -> None:
    code = (
        "import sys; from aar import metrics; metrics.POSTS.add(kind='result'); "
        "metrics.SANDBOXES.change(1, kind='shell'); assert 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_metric_has_a_name_of_its_own_that_prometheus_takes() -> None:
    assert len({one.name for one in ALL}) == len(ALL) > 5
    for one in ALL:
        assert re.fullmatch(r"aar_[a-z_]+", one.name)
        assert not one.name.endswith("_total")  # Ray adds it
        assert all(re.fullmatch(r"[a-z]+", label) for label in one.labels)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_labels_are_names_from_closed_sets(metric: Metric) -> None:
    assert set(metric.labels) <= {"kind", "status", "researcher", "tool"}
    assert isinstance(metric, Counter | Gauge)


def test_a_recording_without_one_of_its_labels_is_an_error(ray_session: None) -> None:
    labels: dict[str, Any] = {"kind": "FineTune"}
    with pytest.raises(ValueError, match="status"):
        metrics.REQUESTS.add(**labels)


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_what_is_exported_and_nothing_else() -> None:
    variables = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    named = {name for text in (*expressions(), *variables) for name in re.findall(r"ray_aar_\w+", text)}
    assert named == set(EXPORTED)


@pytest.mark.parametrize("expression", expressions())
def test_a_panel_groups_by_labels_that_its_metrics_have_and_shows_the_chosen_campaigns(expression: str) -> None:
    for name, filters in re.findall(r"(ray_aar_\w+)\{([^}]*)\}", expression):
        labels = {metrics.CAMPAIGN, *EXPORTED[name].labels}
        assert 'campaign=~"$campaign"' in filters and set(re.findall(r"(\w+)=", filters)) <= labels
        assert {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")} <= labels
    assert (
        "rate(" in expression or "max by" in expression or "sum by" in expression
    )  # one line, whatever processes there are


def test_grafana_finds_each_panel_and_its_source() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["title"] and panel["description"] and panel["targets"]
    assert {one["name"] for one in DASHBOARD["templating"]["list"]} == {"datasource", "campaign"}
