"""Metrics of a campaign for its operator, exported by Ray for Prometheus.

Ray puts `ray_` before each name, and `_total` after a counter's; docs/grafana.json shows them. In a process without Ray
nothing is counted and Ray is not even imported, so that any part may count.

Labels are the campaign and names from closed sets: kinds of request, states, tools, researchers' names from the
settings. Text that an agent wrote is never a label, because each new value would add a series.
"""

import sys
import threading
from collections import Counter as Amounts
from typing import Any

CAMPAIGN = "campaign"
"""The label of every metric."""
NAMESPACE = "aar-"
"""The prefix of a campaign's Ray namespace, before its name."""


class Metric:
    """Base of counters and gauges, for any thread."""

    _kind: str

    def __init__(self, name: str, description: str, *labels: str) -> None:
        """`labels`: names of the labels in addition to the campaign; every recording gives a value for each."""
        self.name, self.description, self.labels = name, description, labels
        self._turn = threading.RLock()
        self._exported: Any = None

    def _export(self) -> Any:
        """Return Ray's metric of this name; None if Ray does not run."""
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return None
        with self._turn:
            if self._exported is None:
                from ray.util import metrics

                self._exported = getattr(metrics, self._kind)(self.name, self.description, (CAMPAIGN, *self.labels))
        return self._exported


class Counter(Metric):
    """A number that only grows. It restarts at 0 with its process, which Prometheus' `rate` accounts for."""

    _kind = "Counter"

    def add(self, amount: float = 1, **labels: str) -> None:
        """Add to the number. An `amount` of 0 or less adds nothing."""
        exported = self._export()
        if exported is not None and amount > 0:
            exported.inc(amount, _labels(labels))


class Gauge(Metric):
    """A number that grows and shrinks; it disappears with its process."""

    _kind = "Gauge"

    def __init__(self, name: str, description: str, *labels: str) -> None:
        super().__init__(name, description, *labels)
        self._amounts: Amounts[tuple[str, ...]] = Amounts()

    def set(self, value: float, **labels: str) -> None:
        """Replace the number."""
        exported = self._export()
        if exported is not None:
            exported.set(value, _labels(labels))

    def change(self, by: int, **labels: str) -> None:
        """Add to this process's own number, which may be negative; do not mix with `set`."""
        with self._turn:
            key = tuple(labels[name] for name in self.labels)
            self._amounts[key] += by
            self.set(self._amounts[key], **labels)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    import ray

    return {CAMPAIGN: ray.get_runtime_context().namespace.removeprefix(NAMESPACE), **labels}


QUEUE = Gauge("aar_queue_requests", "Requests to the compute actor, waiting or running.", "status")
REQUESTS = Counter("aar_requests", "Requests that left the compute queue, completed or failed.", "kind", "status")
REQUEST_SECONDS = Counter("aar_request_seconds", "Seconds that workers spent on requests.", "kind")
EXPERIMENTS = Gauge("aar_experiments", "Experiments of researchers and references.", "status")
TOKENS = Gauge("aar_tokens", "Tokens that a researcher's model has used in this campaign.", "researcher", "kind")
DOLLARS = Gauge("aar_dollars", "Cost of a researcher's model in this campaign.", "researcher")
SANDBOXES = Gauge("aar_sandboxes", "Open sandboxes, including those that wait for a method.", "kind")
POSTS = Counter("aar_posts", "Posts written to the forum.", "kind")
TOOL_CALLS = Counter("aar_tool_calls", "Answered tool calls.", "researcher", "tool", "status")
TOOL_SECONDS = Counter("aar_tool_seconds", "Seconds that tool calls took.", "researcher", "tool")

ALL = tuple(value for value in vars().copy().values() if isinstance(value, Metric))
"""Every metric that aar exports."""
