"""The numbers of a campaign that an operator watches, exported by Ray for Prometheus.

Ray puts `ray_` before each name, and `_total` after a counter's; docs/grafana.json shows them. Where Ray does
not run in the process nothing is counted and Ray is not even imported, so that any part may count.

Labels are the campaign and names from closed sets: kinds of request, states, tools, researchers as the operator named
them. A text that an agent wrote is never one, because each new value would be another series to keep.
"""

import sys
import threading
from collections import Counter as Amounts
from typing import Any

CAMPAIGN = "campaign"
"""The label that every metric has."""
NAMESPACE = "aar-"
"""A campaign's Ray namespace is this and its name."""


class Metric:
    """What counters and gauges share. May be used from any thread."""

    _kind: str

    def __init__(self, name: str, description: str, *labels: str) -> None:
        """`labels`: those beside the campaign; each recording gives a value to all of them."""
        self.name, self.description, self.labels = name, description, labels
        self._turn = threading.RLock()
        self._exported: Any = None

    def _export(self) -> Any:
        """Ray's metric of this name, or None where Ray does not run."""
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return None
        with self._turn:
            if self._exported is None:
                from ray.util import metrics

                self._exported = getattr(metrics, self._kind)(self.name, self.description, (CAMPAIGN, *self.labels))
        return self._exported


class Counter(Metric):
    """A number that only grows. It starts again at 0 with its process, which Prometheus' `rate` allows for."""

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
        """Change the number that this process has reached; not to be mixed with `set`."""
        with self._turn:
            key = tuple(labels[name] for name in self.labels)
            self._amounts[key] += by
            self.set(self._amounts[key], **labels)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    import ray

    return {CAMPAIGN: ray.get_runtime_context().namespace.removeprefix(NAMESPACE), **labels}


QUEUE = Gauge("aar_queue_requests", "Requests to the compute actor, waiting or running.", "status")
REQUESTS = Counter("aar_requests", "Requests that left the compute queue, answered or failed.", "kind", "status")
REQUEST_SECONDS = Counter("aar_request_seconds", "Seconds that workers spent on requests.", "kind")
EXPERIMENTS = Gauge("aar_experiments", "Experiments of researchers and references.", "status")
TOKENS = Gauge("aar_tokens", "Tokens that a researcher's model has used in this campaign.", "researcher", "kind")
DOLLARS = Gauge("aar_dollars", "What a researcher's model has cost in this campaign.", "researcher")
SANDBOXES = Gauge("aar_sandboxes", "Sandboxes that are open, those too that wait for a method.", "kind")
POSTS = Counter("aar_posts", "Posts that were written to the forum.", "kind")
TOOL_CALLS = Counter("aar_tool_calls", "Tool calls that were answered.", "researcher", "tool", "status")
TOOL_SECONDS = Counter("aar_tool_seconds", "Seconds that tool calls took.", "researcher", "tool")

ALL = tuple(value for value in vars().copy().values() if isinstance(value, Metric))
"""Every metric that aar exports."""
