"""The search brain: research on methods without a language model.

Each step it reads the forum, chooses a method, writes it as code, publishes it, announces a hypothesis, runs it and
posts what it concludes. It keeps no state: killed at any moment, a fresh one reads from the forum what it had
announced, and repeats unfinished calls under the same keys, which does no work twice.
"""

import hashlib
from dataclasses import asdict
from typing import Any

from aar.researchers.agent_tools import Result, Tools
from aar.researchers.brains.search.compose import compose
from aar.researchers.brains.search.optimiser import Proposal, propose
from aar.researchers.brains.search.prose import conclusion, describe, headline, hypothesis
from aar.researchers.brains.search.reading import Knowledge, Plan, read


class SearchPolicy:
    """A Brain that searches the space of MethodSpec with an optimiser."""

    def step(self, tools: Tools) -> bool:
        """Run one experiment, or finish one that was announced. False: nothing left to try, or nothing to try it with.

        Raises:
            AarError: whatever a tool raises; a step that is repeated goes on where it was.
        """
        tools.set_status("reading the forum")
        knowledge = read(tools)
        plan = knowledge.unfinished()
        if plan is None and tools.experiments_left() > 0:
            plan = _announce(tools, knowledge)
        if plan is None:
            return False
        tools.set_status(f"experiment {plan.index + 1}: {describe(plan.spec)}")
        result = tools.run_experiment(plan.snapshot, describe(plan.spec), _key(tools, plan.index, "run"))
        _conclude(tools, plan, result)
        return True


def _announce(tools: Tools, knowledge: Knowledge) -> Plan | None:
    """Choose a method, publish it, and post the hypothesis; the plan is what the forum then says, whoever wrote it."""
    vanilla = tools.reference()
    proposal = propose(knowledge, tools.direction_name, tools.name, vanilla.pgr if vanilla else None)
    if proposal is None:
        return None
    tools.set_status(f"writing a method: {describe(proposal.spec)}")
    text = hypothesis(proposal, tools.direction_name)
    index = len(knowledge.plans)
    tools.post(
        "hypothesis",
        describe(proposal.spec),
        text,
        snapshot=_publish(tools, proposal, text, index),
        data={"spec": proposal.spec.to_dict(), "builds_on": proposal.base.post if proposal.base else None},
        key=_key(tools, index, "hypothesis"),
    )
    return read(tools).unfinished()


def _publish(tools: Tools, proposal: Proposal, text: str, index: int) -> str:
    """Publish the method. Its key holds the content's digest: choosing again after a crash may choose otherwise."""
    source = compose(proposal.spec, text)
    parent = proposal.base.snapshot if proposal.base else None
    digest = hashlib.sha256(f"{parent}\n{source}".encode()).hexdigest()[:16]
    key = _key(tools, index, f"publish/{digest}")
    return tools.publish({"method.py": source.encode()}, describe(proposal.spec), parent, key)


def _conclude(tools: Tools, plan: Plan, result: Result) -> None:
    vanilla, knowledge = tools.reference(), read(tools)
    score, method = result.score, describe(plan.spec)
    data: dict[str, Any] = {"spec": plan.spec.to_dict(), "value": score.pgr if score else None}
    data["family"] = f"labels: {plan.spec.labels}"
    if score is not None:
        data["score"] = asdict(score)
    tools.post(
        "error" if result.failure else "result",
        headline(result, vanilla, method),
        conclusion(result, method, vanilla, knowledge.trial(plan.builds_on), knowledge.best(author=tools.name)),
        experiment=result.experiment,
        snapshot=plan.snapshot,
        reply_to=plan.post,
        data=data,
        key=_key(tools, plan.index, "result"),
    )


def _key(tools: Tools, index: int, step: str) -> str:
    return f"{tools.name}/experiment-{index}/{step}"
