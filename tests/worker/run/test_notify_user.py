"""The tool `notify_user` from end to end: agent in its sandbox, worker, decision, push (contract 16.13)."""

import json
from typing import Any

from sqlalchemy import update

from app.clock import utcnow
from app.db import unit_of_work
from app.dialogue.agent_reports import AgentMessage
from app.enums import RunStatus, Urgency
from app.models import Project, Run
from app.services.runs import command_delivery
from app.worker.jobs.execute_run import execute_run
from app.worker.loops import pushes
from tests.agents.conftest import scripted_adapter
from tests.agents.tools.test_server import call
from tests.fixtures.worker import Workshop
from tests.support.devices import make_device, notifications_of
from tests.support.stand_ins.push import PushService
from tests.worker.pilot import Pilot
from tests.worker.run.test_earlier_runs import with_agent

STATE = {"mode": "background", "runtime_adapter": "actor", "model": "m"}
REQUESTS = [call(title="Half way", message="Tests pass."), call(title="Again", message="Lint passes.")]


async def performed(workshop: Workshop) -> tuple[Pilot, list[Any]]:
    """Perform a run with an agent that makes the requests; return its pilot and what the agent said."""
    run = await workshop.queued_run(json.dumps(REQUESTS), state=STATE)
    await execute_run(workshop.arq_context, run_id=str(run.id))
    done = await workshop.read(run)
    assert (done.status, done.error_message) == (RunStatus.COMPLETED, None)
    pilot = Pilot(workshop, run)
    updates = [params["update"] for params in await pilot.log("session/update")]
    # What it says in one turn is one message on the log.
    [text] = [each["content"]["text"] for each in updates if each["sessionUpdate"] == "agent_message"]
    return pilot, json.loads("[" + text.replace("][", "],[") + "]")


async def test_agent_notifies_its_person(workshop: Workshop, push_service: PushService) -> None:
    shop = with_agent(workshop, scripted_adapter("use_tools"))
    async with unit_of_work(shop.sessions) as session:
        device = await make_device(session, user=shop.owner)
    pilot, [_servers, *answers] = await performed(shop)
    assert [answer["result"]["structuredContent"] for _, answer in answers] == [
        {"decision": "sent", "devices": 1},
        {"decision": "throttled", "reason": "at most one message a minute"},
    ]
    logged = [
        (each["title"], each["message"], each["decision"])
        for each in await pilot.log("_taskbeacon/notify_user")
    ]
    assert logged == [("Half way", "Tests pass.", "sent"), ("Again", "Lint passes.", "throttled")]

    await pushes.deliver_due(shop.context.process)
    [message] = [each for each in push_service.received if each.get("subtitle") == "agent"]
    assert (message["to"], message["title"], message["body"]) == (device.token, "Half way", "Tests pass.")
    rows = [row for row in await notifications_of(shop.sessions, await shop.task_of(pilot.run)) if row.title]
    assert [(row.kind, row.decision) for row in rows] == [
        ("notify_user", "sent"),
        ("notify_user", "throttled"),
    ]


async def test_agent_of_a_project_that_refuses_has_no_tool(workshop: Workshop) -> None:
    shop = with_agent(workshop, scripted_adapter("use_tools"))
    async with unit_of_work(shop.sessions) as session:
        await session.execute(update(Project).where(Project.id == shop.project.id).values(notify_user=False))
    _, said = await performed(shop)
    assert said == [[]]


async def test_agent_of_a_lost_run_is_not_heard(workshop: Workshop) -> None:
    """Another job holds the run, or it has ended: what this one's agent says is not decided."""
    run = await workshop.queued_run("[]", state=STATE)
    said = AgentMessage(title="t", message="m", urgency=Urgency.LOW)
    another = {"lease_owner": "another", "lease_expires_at": utcnow()}
    nobody = {"lease_owner": None, "lease_expires_at": None, "completed_at": utcnow()}
    for status, held in ((RunStatus.IN_PROGRESS, another), (RunStatus.COMPLETED, nobody)):
        async with unit_of_work(workshop.sessions) as session:
            await session.execute(update(Run).where(Run.id == run.id).values(status=status, **held))
            outcome = await command_delivery.notify_user(session, run.id, said, owner="this")
        assert outcome is None
    assert await notifications_of(workshop.sessions, await workshop.task_of(run)) == []
