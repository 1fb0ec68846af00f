"""Forms and pages of an agent, from its request to its answer (contract 15): a real agent process that plays a part."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import unit_of_work
from app.enums import RunStatus, ServiceMethod
from app.models import Question, Run
from app.schemas.questions import ActionIn
from app.services.inbox.answer_acceptance import answer_question
from tests.agents.conftest import scripted_adapter
from tests.dialogue.test_form_answers import CLAUDE, FOREIGN
from tests.fixtures.worker import Workshop
from tests.support.database.faults import cut_once
from tests.support.waiting import eventually
from tests.worker.pilot import Pilot, listening
from tests.worker.run.test_earlier_runs import with_agent
from tests.worker.run.test_run_files import attach
from tests.worker.run.test_steering import impatient

JSON = dict[str, Any]
STATE = {"mode": "interactive", "runtime_adapter": "actor", "model": "m"}
QUESTIONS = {"mode": "form", "toolCallId": "toolu_1", "message": "Please answer.", "requestedSchema": CLAUDE}
SERVER_FORM = {"mode": "form", "message": "Configure the server.", "requestedSchema": FOREIGN}
PAGE = {"mode": "url", "elicitationId": "e", "url": "https://example.com/login", "message": "Log in."}


@pytest.fixture(autouse=True)
async def woken(workshop: Workshop) -> AsyncGenerator[None, None]:
    async with listening(workshop):
        yield


class Asking:
    """A run with an agent that sends one request and says the answer."""

    def __init__(self, workshop: Workshop, pilot: Pilot) -> None:
        self._workshop = workshop
        self.pilot = pilot
        self.job = pilot.start()

    async def answer(self, option_id: str, **more: Any) -> Any:
        return await self.pilot.answer(option_id, **more)

    async def heard(self) -> JSON:
        """Return the answers that the agent got, after the end of its run."""
        await self.pilot.until_waiting_for("message")
        await self.pilot.send("close")
        await self.job
        [said] = [text for text in await self.pilot.said() if text.startswith("{")]
        result: JSON = json.loads(said)["result"]
        return result

    async def row(self) -> Question:
        """Return the question that is no message."""
        async with unit_of_work(self._workshop.sessions) as session:
            [row] = await session.scalars(
                select(Question).where(Question.run_id == self.pilot.run.id, Question.kind != "message")
            )
        return row


async def asking(workshop: Workshop, params: JSON, *, part: str = "request", **state: Any) -> Asking:
    shop = with_agent(workshop, scripted_adapter(part))
    description = json.dumps({"method": "elicitation/create", "params": params})
    return Asking(shop, Pilot(shop, await shop.queued_run(description, state=STATE | state)))


async def test_form_of_two_questions_is_answered_as_existing_clients_do(workshop: Workshop) -> None:
    agent = await asking(workshop, QUESTIONS)
    waiting = await agent.pilot.until_waiting_for("permission")
    assert waiting["tool_call"]["_meta"]["codeToolKind"] == "question"
    answers = {"Which library?": "luxon", "Which targets?": "web, ios, tv"}
    assert await agent.answer("_submit", answers=answers) == {"jsonrpc": "2.0", "result": {"resolved": True}}

    content = {"question_0": "luxon", "question_1": ["web", "ios"], "question_1_custom": "tv"}
    assert await agent.heard() == {"action": "accept", "content": content}
    [request] = await agent.pilot.log("_posthog/permission_request")
    assert (request["requestId"], request["toolCallId"]) == (waiting["request_id"], "toolu_1")
    call = request["toolCall"]
    assert (call["title"], call["kind"]) == ("Which library?", "other")
    assert [question["question"] for question in call["_meta"]["questions"]] == [
        "Which library?",
        "Which targets?",
    ]
    assert call["_meta"]["requestedSchema"]["properties"].keys() == CLAUDE["properties"].keys()
    assert [option["optionId"] for option in request["options"]] == ["option_0", "option_1", "reject"]
    row = await agent.row()
    assert (row.kind, row.title, row.detail) == ("form", "Which library?", "Please answer.")
    assert (row.status, row.answer) == (
        "answered",
        {"option_id": "_submit", "action": "accept", "content": content},
    )
    assert row.schema is not None
    assert await agent.pilot.statuses() == ["consumed", "consumed"]


async def test_form_of_a_server_is_checked_before_the_agent_hears(workshop: Workshop) -> None:
    agent = await asking(workshop, SERVER_FORM)
    await agent.pilot.until_waiting_for("permission")
    refused = await agent.answer("_submit", answers={"name": "db", "Port": "many"})
    assert refused["error"] == {"code": -32602, "message": "port: It is no integer."}
    assert (await agent.row()).status == "open"
    await agent.answer("_submit", answers={"name": "db", "Port": "5432", "Use TLS?": "No"})

    assert await agent.heard() == {"action": "accept", "content": {"name": "db", "port": 5432, "tls": False}}


async def test_skipped_form_is_declined(workshop: Workshop) -> None:
    agent = await asking(workshop, QUESTIONS)
    await agent.pilot.until_waiting_for("permission")
    await agent.answer("reject")

    assert await agent.heard() == {"action": "decline"}
    [resolved] = await agent.pilot.log("_posthog/permission_resolved")
    assert resolved["optionId"] == "reject"


@pytest.mark.parametrize("params", [QUESTIONS, PAGE])
async def test_cancel_of_the_run_cancels_what_is_asked(workshop: Workshop, params: JSON) -> None:
    agent = await asking(workshop, params)
    await agent.pilot.until_waiting_for("permission")
    await agent.pilot.send("cancel")

    assert await agent.heard() == {"action": "cancel"}
    assert (await agent.row()).status == "withdrawn"
    assert await agent.pilot.statuses() == ["consumed", "consumed"]


async def test_question_without_an_answer_is_declined_and_has_expired(workshop: Workshop) -> None:
    agent = await asking(impatient(workshop), QUESTIONS)
    await agent.job

    [said] = [text for text in await agent.pilot.said() if text.startswith("{")]
    assert json.loads(said)["result"] == {"action": "decline"}
    row = await agent.row()
    assert (row.status, row.urgency) == ("expired", "high")


@pytest.mark.parametrize(("option", "action"), [("open", "accept"), ("reject", "decline")])
async def test_page_is_shown_by_its_host_and_opened_by_the_person(
    workshop: Workshop, option: str, action: str
) -> None:
    agent = await asking(workshop, PAGE)
    waiting = await agent.pilot.until_waiting_for("permission")
    assert waiting["options"][0]["name"] == "Open example.com"
    refused = await agent.answer("maybe")
    assert refused["error"]["message"] == "The request offers the options open, reject."
    await agent.answer(option)

    assert await agent.heard() == {"action": action}
    row = await agent.row()
    assert (row.kind, row.url, row.title) == ("url", "https://example.com/login", "Log in.")
    assert row.detail.startswith("example.com\n")
    assert row.answer == {"option_id": option, "action": action}


async def test_page_that_was_used_already_withdraws_its_question(workshop: Workshop) -> None:
    agent = await asking(workshop, PAGE, part="elicit_page")

    assert await agent.heard() == {"action": "accept"}
    assert (await agent.row()).status == "withdrawn"
    assert await agent.pilot.log("_taskbeacon/elicitation_complete") == [{"elicitationId": "e"}]


async def test_question_that_the_agent_takes_back_is_withdrawn(workshop: Workshop) -> None:
    agent = await asking(workshop, QUESTIONS, part="take_back")
    await agent.pilot.until_waiting_for("permission")
    [work] = [path.parent for path in workshop.context.process.settings.workspaces_path.glob("*/work/.git")]
    (work / "asked").touch()

    assert await agent.heard() == {"action": "cancel"}
    assert (await agent.row()).status == "withdrawn"
    [resolved] = await agent.pilot.log("_posthog/permission_resolved")
    assert "optionId" not in resolved


@pytest.mark.parametrize(
    ("params", "action"),
    [(SERVER_FORM, "accept"), (PAGE, "accept"), (SERVER_FORM, "decline"), (PAGE, "cancel")],
    ids=["form-accept", "url-accept", "form-decline", "url-cancel"],
)
async def test_answer_through_the_inbox_reaches_the_agent(
    workshop: Workshop, params: JSON, action: str
) -> None:
    agent = await asking(workshop, params)
    await agent.pilot.until_waiting_for("permission")
    row, process = await agent.row(), workshop.context.process
    is_filled = params is SERVER_FORM and action == "accept"
    content: JSON = {"content": {"name": "db", "port": 5432}} if is_filled else {}
    body = ActionIn.model_validate({"action": action, **content})
    async with unit_of_work(workshop.sessions) as session:
        answered = await answer_question(session, agent.pilot.caller(), row.id, body, process)

    assert answered["answer"] == {"action": action, **content}
    assert await agent.heard() == {"action": action, **content}
    [resolved] = await agent.pilot.log("_posthog/permission_resolved")
    accepted = "open" if params is PAGE else None
    # One of the options that were offered, or none.
    assert resolved.get("optionId") == {"accept": accepted, "decline": "reject"}.get(action)


@pytest.mark.parametrize("url", ["javascript:alert(1)", f"https://example.com/{'x' * 2000}"])
async def test_invalid_address_of_a_page_is_declined_at_once(workshop: Workshop, url: str) -> None:
    agent = await asking(workshop, PAGE | {"url": url})

    assert await agent.heard() == {"action": "decline"}
    assert await agent.pilot.log("_posthog/permission_request") == []


async def test_form_that_asks_for_a_secret_is_declined_and_said(workshop: Workshop) -> None:
    schema = {"type": "object", "properties": {"p": {"type": "string", "format": "password"}}}
    agent = await asking(workshop, SERVER_FORM | {"requestedSchema": schema})

    assert await agent.heard() == {"action": "decline"}
    messages = [each["message"] for each in await agent.pilot.log("_taskbeacon/progress")]
    assert any("asks for a secret" in message for message in messages)


@pytest.mark.parametrize("mode", ["interactive", "background"])
async def test_agents_are_offered_forms_where_a_person_follows(workshop: Workshop, mode: str) -> None:
    agent = await asking(workshop, {}, part="capabilities", mode=mode)
    if mode == "interactive":
        await agent.pilot.until_waiting_for("message")
        await agent.pilot.send("close")
    await agent.job

    [said] = await agent.pilot.said()
    offered = json.loads(said).get("elicitation")
    assert offered == ({"form": {}, "url": {}} if mode == "interactive" else None)


async def test_of_many_answers_at_once_the_agent_hears_one(workshop: Workshop) -> None:
    agent = await asking(workshop, QUESTIONS)
    waiting = await agent.pilot.until_waiting_for("permission")

    def answer(label: str) -> Any:
        params = {
            "requestId": waiting["request_id"],
            "optionId": "_submit",
            "answers": {"Which library?": label},
        }
        return agent.pilot.send("permission_response", params)

    answers = await asyncio.gather(*(answer(label) for label in ("luxon", "date-fns") * 4))
    [won] = [index for index, each in enumerate(answers) if "result" in each]

    assert await agent.heard() == {
        "action": "accept",
        "content": {"question_0": ("luxon", "date-fns")[won % 2]},
    }


class TestSteering:
    async def test_messages_reach_an_agent_at_work_in_order(self, workshop: Workshop) -> None:
        shop = with_agent(workshop, scripted_adapter("take_messages"))
        pilot = Pilot(shop, await shop.queued_run("begin", state=STATE))
        job = pilot.start()
        await pilot.until_agent_started()
        for text in ("one", "two", "end"):
            await pilot.say(text)
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert (await shop.read(pilot.run)).status == RunStatus.COMPLETED
        assert '["one", "two", "end"]' in await pilot.said()
        assert await pilot.statuses() == ["consumed"] * 4
        receipts = [each[1] for each in await pilot.receipts() if each[0] == "user_message"]
        # All in one turn.
        assert receipts[-3:] == ["consumed"] * 3
        assert len(await pilot.log("_posthog/turn_complete")) == 1

    async def test_message_for_after_the_turn_is_not_sent_into_it(self, workshop: Workshop) -> None:
        """An agent that can be steered got it at once, so a browser kept it, which had to stay open."""
        shop = with_agent(workshop, scripted_adapter("take_messages"))
        pilot = Pilot(shop, await shop.queued_run("begin", state=STATE))
        job = pilot.start()
        await pilot.until_agent_started()
        await pilot.send("user_message", {"content": "later", "artifact_ids": [], "steer": False})
        await pilot.say("end")
        await pilot.until_logged('"later"')
        await pilot.say("end")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert [text for text in await pilot.said() if text.startswith("[")] == ['["end"]', '["end"]']
        assert len(await pilot.log("_posthog/turn_complete")) == 2

    async def test_messages_are_held_back_while_a_question_is_open(self, workshop: Workshop) -> None:
        shop = with_agent(workshop, scripted_adapter("take_messages"))
        pilot = Pilot(shop, await shop.queued_run("ask", state=STATE))
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        await pilot.say("end")
        await pilot.until_logged("It is held back until the agent's question is closed.")
        assert await pilot.statuses() == ["accepted"]
        await pilot.answer("yes")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert '["selected", "end"]' in await pilot.said()
        mine = [each[1:] for each in await pilot.receipts() if each[0] == "user_message"]
        held = ("accepted", "It is held back until the agent's question is closed.")
        assert mine == [("accepted",), held, ("delivered",), ("consumed",)]

    @pytest.mark.parametrize(
        "refusal",
        [
            {"result": {"outcome": "promptRequired", "reason": "noRunningTurn"}},
            {"error": {"code": -32601, "message": "Method not found"}},
        ],
        ids=["by its outcome", "by an error"],
    )
    async def test_messages_that_the_agent_refuses_in_its_turn_wait_and_are_the_next_prompts(
        self, workshop: Workshop, refusal: JSON
    ) -> None:
        """Until then the queue shows them, as before they were sent; those that steer stay in front."""
        shop = with_agent(workshop, scripted_adapter("refuse_messages"))
        pilot = Pilot(shop, await shop.queued_run(json.dumps(refusal), state=STATE))
        job = pilot.start()
        await pilot.until_agent_started()
        sent = await pilot.send("user_message", {"content": "now", "steer": True}, id=1)
        assert sent == {"jsonrpc": "2.0", "result": {"queued": True}, "id": 1}
        await pilot.until_logged('"refused":"now"')

        async def waits() -> bool:
            return bool(
                await pilot.use_queue(ServiceMethod.QUEUE_GET) == {"steering": ["now"], "followUp": []}
            )

        await eventually(waits)
        assert [each for each in await pilot.reports() if each[0] == "user_message"] == [
            ("user_message", "accepted")
        ]
        await pilot.say("later", id=2)
        await pilot.until_logged("prompt: later")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert [text for text in await pilot.said() if "prompt" in text] == ["prompt: now", "prompt: later"]
        assert await pilot.statuses() == ["consumed"] * 3
        mine = [
            (each["id"], each["status"]) for each in await pilot.log("_taskbeacon/command") if "id" in each
        ]
        assert [each for each in mine if each[1] != "accepted"] == [
            (number, status) for number in (1, 2) for status in ("delivered", "consumed")
        ]

    async def test_lost_connection_while_files_of_a_message_are_read_costs_neither_message_nor_run(
        self, workshop: Workshop, engine: AsyncEngine
    ) -> None:
        shop = with_agent(workshop, scripted_adapter("take_messages"))
        pilot = Pilot(shop, await shop.queued_run("begin"))
        file = await attach(shop, pilot.run, name="notes.txt", content=b"from a person")
        async with unit_of_work(shop.sessions) as session:
            (await session.get_one(Run, pilot.run.id)).state = STATE
        job = pilot.start()
        await pilot.until_agent_started()
        with cut_once(engine, "SELECT runs.artifacts") as cut:
            await pilot.say("end", artifact_ids=[file["id"]])
            await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert len(cut) == 1
        assert (await shop.read(pilot.run)).status == RunStatus.COMPLETED
        assert '["end"]' in await pilot.said()
        assert await pilot.statuses() == ["consumed"] * 2

    async def test_cancel_settles_what_the_agent_was_given(self, workshop: Workshop) -> None:
        shop = with_agent(workshop, scripted_adapter("take_messages"))
        pilot = Pilot(shop, await shop.queued_run("begin", state=STATE))
        job = pilot.start()
        await pilot.until_agent_started()
        await pilot.say("one")

        async def given() -> bool:
            return await pilot.statuses() == ["delivered"]

        await eventually(given)
        await pilot.send("cancel")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert await pilot.statuses() == ["consumed"] * 3
