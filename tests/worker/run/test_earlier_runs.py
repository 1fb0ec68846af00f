"""An agent that resumes earlier runs gets a summary of them (contract 9.2)."""

import json
from dataclasses import replace
from typing import Any

from app.agents.adapters.adapter import Adapter
from app.agents.adapters.catalog import Catalog, load_catalog
from app.clients.storage.storage_keys import RunRef
from app.db import unit_of_work
from app.models import Run
from app.services.resume_chain import earlier_runs
from app.worker.jobs.execute_run import execute_run
from app.worker.run.earlier_runs import recall
from tests.agents.conftest import remembering_adapter, scripted_adapter
from tests.fixtures.worker import Workshop
from tests.support.factories import make_run

STATE = {"mode": "background", "runtime_adapter": "actor", "model": "m"}


def with_echo(workshop: Workshop) -> Workshop:
    return with_agent(workshop, scripted_adapter("echo"))


def with_agent(workshop: Workshop, actor: Adapter) -> Workshop:
    shipped = load_catalog()
    catalog = Catalog(dict(shipped.adapters) | {"actor": actor}, (*shipped.choices, "actor"))
    process = replace(workshop.context.process, catalog=catalog)
    return replace(workshop, context=replace(workshop.context, process=process))


async def resumed(workshop: Workshop, previous: Run, **state: Any) -> Run:
    async with unit_of_work(workshop.sessions) as session:
        run = await make_run(
            session,
            task=await workshop.task_of(previous),
            state=STATE | {"resume_from_run_id": str(previous.id)} | state,
        )
        run.dispatch_requested_at = run.created_at
    return run


async def prompt_of(workshop: Workshop, run: Run) -> list[str]:
    """Perform a run with an agent that says its prompt, and return that."""
    await execute_run(workshop.arq_context, run_id=str(run.id))
    done = await workshop.read(run)
    assert done.output is not None, done.error_message
    return [block["text"] for block in json.loads(done.output["summary"])]


async def test_agent_gets_a_summary_of_earlier_runs(workshop: Workshop) -> None:
    shop = with_echo(workshop)
    first = await shop.queued_run("Count the files.", state=STATE | {"pending_user_message": "Hurry."})

    assert await prompt_of(shop, first) == ["Count the files.\n\nHurry."]
    memory, prompt = await prompt_of(
        shop, await resumed(shop, first, pending_user_message="And the folders.")
    )

    assert prompt == "Count the files.\n\nAnd the folders."
    introduction, *lines = memory.splitlines()
    assert introduction.startswith("This task was worked on before, and you go on from there.")
    assert lines[0] == "Person: Hurry."
    assert lines[1].startswith('Agent: [{"text": "Count the files.')
    assert lines[-1] == "The run: completed."


async def test_memory_is_bounded_and_keeps_the_end(workshop: Workshop) -> None:
    first = await workshop.queued_run("x", state=STATE)
    second = await resumed(workshop, first)
    entries = [
        *(said(f"{number}: {'x' * 5000}") for number in range(200)),
        {"notification": {"params": {"update": {"sessionUpdate": "tool_call", "title": "ls"}}}},
        {"notification": {"params": {"update": "nonsense"}}},
        [1, 2],
    ]
    lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries) + b"broken{\n"
    key = RunRef(workshop.project.id, first.task_id, first.id).log_key
    store = workshop.context.process.store
    await store.put(key, lines, content_type="application/jsonl", tags={})

    async with unit_of_work(workshop.sessions) as session:
        earlier = await earlier_runs(session, second.task_id, second.id)
    memory = await recall(store, earlier, RunRef(workshop.project.id, second.task_id, second.id))

    assert memory is not None
    assert len(memory) < 25_000
    *_, last_said, tool, end = memory.splitlines()
    assert last_said.startswith("Agent: 199: xxx")
    assert last_said.endswith("xxx …")
    assert (tool, end) == ("Agent's tool: ls", "The run: queued.")


async def test_runs_without_logs_are_in_the_summary_too(workshop: Workshop) -> None:
    first = await workshop.queued_run("x", state=STATE)
    second = await resumed(workshop, first)

    async with unit_of_work(workshop.sessions) as session:
        earlier = await earlier_runs(session, second.task_id, second.id)
        none = await earlier_runs(session, first.task_id, first.id)
    store = workshop.context.process.store
    memory = await recall(store, earlier, RunRef(workshop.project.id, second.task_id, second.id))

    assert none == ()
    assert (memory or "").splitlines()[1:] == ["The run: queued."]


def said(text: str) -> dict[str, Any]:
    update = {"sessionUpdate": "agent_message", "content": {"type": "text", "text": text}}
    return {
        "type": "notification",
        "notification": {"method": "session/update", "params": {"update": update}},
    }


async def test_runbook_that_continues_is_the_message_alone(workshop: Workshop) -> None:
    """Regression: all steps of the task were executed again before those of the message."""
    first = await workshop.queued_run("```say\nThe task.\n```")
    await execute_run(workshop.arq_context, run_id=str(first.id))
    message = {"runtime_adapter": "runbook", "pending_user_message": "```say\nThe message.\n```"}
    second = await resumed(workshop, first, **message)

    await execute_run(workshop.arq_context, run_id=str(second.id))

    log = await workshop.stored(RunRef(second.project_id, second.task_id, second.id).log_key)
    assert ("The message." in log, "The task." in log) == (True, False)


async def test_agent_that_can_takes_up_the_conversation_itself(workshop: Workshop) -> None:
    shop = with_agent(workshop, remembering_adapter("load", name="actor"))
    first = await shop.queued_run("Count the files.", state=STATE)
    await execute_run(shop.arq_context, run_id=str(first.id))

    second = await resumed(shop, first, pending_user_message="And the folders.")
    await execute_run(shop.arq_context, run_id=str(second.id))

    done = await shop.read(second)
    assert done.output is not None, done.error_message
    turns = [json.loads(line)["prompt"] for line in done.output["summary"].splitlines()]
    assert turns == [["Count the files."], ["And the folders."]]
    kept = RunRef(first.project_id, first.task_id, first.id).session_key
    assert [entry["storage_path"] for entry in done.artifacts if entry["storage_path"] == kept] == []


async def test_cost_of_a_conversation_is_counted_for_each_of_its_runs_alone(workshop: Workshop) -> None:
    """Regression: agents report the sum of the conversation, and that counted again with each run that resumed it."""
    shop = with_agent(workshop, remembering_adapter("load", name="actor"))
    run = await shop.queued_run("Count the files.", state=STATE)
    costs = []
    for _ in range(3):
        await execute_run(shop.arq_context, run_id=str(run.id))
        costs.append((await shop.read(run)).facts["usage"]["cost"]["amount"])
        run = await resumed(shop, run, pending_user_message="And the folders.")
    assert costs == [0.1, 0.1, 0.1]


async def test_conversation_that_was_lost_is_summarized(workshop: Workshop) -> None:
    shop = with_agent(workshop, remembering_adapter("load", name="actor"))
    first = await shop.queued_run("Count the files.", state=STATE)
    await execute_run(shop.arq_context, run_id=str(first.id))
    key = RunRef(first.project_id, first.task_id, first.id).session_key
    await shop.context.process.store.put(key, b"damaged", content_type="application/gzip", tags={})

    second = await resumed(shop, first)
    await execute_run(shop.arq_context, run_id=str(second.id))

    done = await shop.read(second)
    assert done.output is not None, done.error_message
    [turn] = [json.loads(line)["prompt"] for line in done.output["summary"].splitlines()]
    assert turn[0].startswith("This task was worked on before")
    assert turn[1] == "Count the files."
