"""The search brain: research on methods without a language model.

In each step it reads the forum, chooses a method, writes its code, publishes it, announces a hypothesis, runs it and
posts a conclusion. It keeps no state. After a kill, a new process reads the announced hypotheses from the forum and
repeats unfinished calls under the same keys, so no work is done twice.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aar.methods import METHOD_FILE
from aar.researchers.brains.search.optimiser import Proposal, propose
from aar.researchers.brains.search.prose import conclusion, describe, headline, hypothesis
from aar.researchers.brains.search.reading import Knowledge, Plan, read
from aar.researchers.brains.search.space import compose
from aar.researchers.client import CampaignClient
from aar.researchers.directions import read_direction
from aar.researchers.runtime import ResearcherRuntime
from aar.scoring.records import Experiment, Score


class SearchBrain:
    """Takes one step after another until nothing is left to try or the researcher is stopped. Implements Brain."""

    def __init__(self, runtime: ResearcherRuntime, client: CampaignClient) -> None:
        """Raises ConfigError if the direction cannot be read."""
        name, _ = read_direction(runtime.researcher.direction)
        self._runtime, self._policy = runtime, SearchPolicy(client, name, runtime.set_status)

    def run(self) -> None:
        """Work until nothing is left to do, or until it is stopped. Raises AarError if the client does."""
        while not self._ended() and self._policy.step():
            self._runtime.wait_while_paused()
        self._runtime.set_status("stopped" if self._ended() else "finished")

    def _ended(self) -> bool:
        return self._runtime.stopping or self._runtime.desired_state() == "stopped"


class SearchPolicy:
    """Searches the space of MethodSpec with an optimiser.

    Args:
        set_status: shows people what the researcher is doing now.
    """

    def __init__(self, client: CampaignClient, direction: str, set_status: Callable[[str], None]) -> None:
        self._client, self._direction, self._set_status = client, direction, set_status

    def step(self) -> bool:
        """Run one experiment, or finish an announced one. Return False if no method or no experiment is left.

        Raises:
            AarError: whatever the client raises. A repeated step resumes where it was.
        """
        self._set_status("reading the forum")
        knowledge = read(self._client)
        plan = knowledge.unfinished()
        if plan is None and self._client.experiments_left() > 0:
            plan = self._announce(knowledge)
        if plan is None:
            return False
        self._set_status(f"experiment {plan.index + 1}: {describe(plan.spec)}")
        running = self._client.start(plan.snapshot, describe(plan.spec), key=self._key(plan.index, "run"))
        self._conclude(plan, self._client.wait(running.id))
        return True

    def _announce(self, knowledge: Knowledge) -> Plan | None:
        """Choose a method, publish it, and post the hypothesis. Return the plan as the forum then records it."""
        vanilla = self._vanilla()
        proposal = propose(knowledge, self._direction, self._client.name, vanilla.pgr if vanilla else None)
        if proposal is None:
            return None
        self._set_status(f"writing a method: {describe(proposal.spec)}")
        text = hypothesis(proposal, self._direction)
        index = len(knowledge.plans)
        self._client.post(
            "hypothesis",
            describe(proposal.spec),
            text,
            snapshot=self._publish(proposal, text, index),
            data={"spec": proposal.spec.to_dict(), "builds_on": proposal.base.post if proposal.base else None},
            key=self._key(index, "hypothesis"),
        )
        return read(self._client).unfinished()

    def _publish(self, proposal: Proposal, text: str, index: int) -> str:
        """Publish the method. The key contains a digest, because a choice after a crash may be a different one."""
        source = compose(proposal.spec, text)
        parent = proposal.base.snapshot if proposal.base else None
        digest = hashlib.sha256(f"{parent}\n{source}".encode()).hexdigest()[:16]
        key = self._key(index, f"publish/{digest}")
        return self._client.publish({METHOD_FILE: source.encode()}, describe(proposal.spec), parent, key=key).id

    def _conclude(self, plan: Plan, experiment: Experiment) -> None:
        vanilla, knowledge = self._vanilla(), read(self._client)
        score, method = experiment.score, describe(plan.spec)
        data: dict[str, Any] = {"spec": plan.spec.to_dict(), "value": score.pgr if score else None}
        data["family"] = f"labels: {plan.spec.labels}"
        if score is not None:
            data["score"] = asdict(score)
        base, best = knowledge.trial(plan.builds_on), knowledge.best(author=self._client.name)
        self._client.post(
            "error" if experiment.failure else "result",
            headline(experiment, vanilla, method),
            conclusion(experiment, method, vanilla, base, best),
            experiment=experiment.id,
            snapshot=plan.snapshot,
            reply_to=plan.post,
            data=data,
            key=self._key(plan.index, "result"),
        )

    def _vanilla(self) -> Score | None:
        """Return the reference's score, once there is one."""
        return next((record.score for record in self._client.experiments() if record.is_reference), None)

    def _key(self, index: int, step: str) -> str:
        return f"{self._client.name}/experiment-{index}/{step}"
