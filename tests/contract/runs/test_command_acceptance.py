"""Commands to the agent of a live run (contract 6.4, 13.6)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.clock import utcnow
from app.enums import CommandStatus, Environment, RunStatus
from app.ids import new_id
from app.models import Question, Run, RunCommand, Task
from app.services.runs.command_acceptance import MAX_OPEN
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.callers import Caller
from tests.support.clock import MovableClock
from tests.support.factories import make_run
from tests.support.makers import NewTask
from tests.support.questions import make_question
from tests.support.stand_ins.fakes import RecordingEvents

JSON = dict[str, Any]
Say = Callable[..., Awaitable[httpx.Response]]

FILE: JSON = {"id": "a" * 32, "name": "a.txt", "type": "reference", "storage_path": "tasks/artifacts/a"}
ASKED: JSON = {
    "kind": "permission",
    "request_id": "r1",
    "tool_call": {"toolCallId": "t"},
    "options": [{"optionId": "yes", "name": "Yes", "kind": "allow_once"}],
    "since": "2026-03-01T10:00:00+00:00",
}
OPTIONS = [
    {"id": "yes", "name": "Yes", "kind": "allow_once"},
    {"id": "no", "name": "No", "kind": "reject_once"},
]
QUEUED = {"jsonrpc": "2.0", "result": {"queued": True}}
ANSWER = {"requestId": "r1", "optionId": "yes"}


@pytest.fixture
def published() -> RecordingEvents:
    return RecordingEvents()


@pytest.fixture
def events(published: RecordingEvents) -> RunEvents:
    """The publisher of run events that the application uses."""
    return published


@pytest.fixture
async def live(session: AsyncSession, task: Task, clock: MovableClock) -> Run:
    """A run with an agent at work in a worker."""
    return await make_run(
        session,
        task=task,
        status=RunStatus.IN_PROGRESS,
        lease_owner="worker",
        lease_expires_at=clock.now + timedelta(seconds=60),
        artifacts=[FILE],
    )


@pytest.fixture
def url(task_url: str, live: Run) -> str:
    return f"{task_url}/runs/{live.id}/command"


@pytest.fixture
def say(client: httpx.AsyncClient, url: str) -> Say:
    """Send a command."""

    async def say(method: str, params: Any = ..., **more: Any) -> httpx.Response:
        body = {"jsonrpc": "2.0", "method": method, **({} if params is ... else {"params": params}), **more}
        return await client.post(url, json=body)

    return say


def queued(response: httpx.Response) -> JSON:
    """Return the texts of the messages that wait."""
    result = response.json()["result"]
    return {name: result[name] for name in ("steering", "followUp")}


async def ask(session: AsyncSession, task: Task, run: Run, **values: Any) -> Question:
    """Have the agent wait for a person's permission."""
    values_of_run = {"state": {"mode": "interactive"}, "facts": {"waiting_for": ASKED}}
    await session.execute(update(Run).where(Run.id == run.id).values(values_of_run))
    return await make_question(
        session, task=task, run=run, **({"request_id": "r1", "options": OPTIONS} | values)
    )


async def kept(session: AsyncSession, run: Run) -> list[tuple[str, JSON, str]]:
    """Return the commands that wait for the agent."""
    columns = select(RunCommand.method, RunCommand.params, RunCommand.status)
    rows = await session.execute(columns.where(RunCommand.run_id == run.id).order_by(RunCommand.position))
    return [(row.method, row.params, row.status) for row in rows]


async def state_of(session: AsyncSession, run: Run) -> JSON:
    state: JSON = (
        await session.execute(select(Run.state.op("||")(Run.facts)).where(Run.id == run.id))
    ).scalar_one()
    return state


class TestUserMessage:
    async def test_is_queued_and_kept_for_the_worker(
        self, say: Say, live: Run, session: AsyncSession, caller: Caller
    ) -> None:
        response = await say("user_message", {"content": "  Go on.  "}, id=7)

        assert (response.status_code, response.json()) == (200, {**QUEUED, "id": 7})
        [row] = (await session.scalars(select(RunCommand))).all()
        assert (row.run_id, row.user_id, row.rpc_id) == (live.id, caller.user_id, 7)
        assert (row.status, row.settled_at) == (CommandStatus.ACCEPTED, None)
        assert row.params == {"content": "Go on.", "artifact_ids": []}

    async def test_id_is_echoed_where_there_is_one(self, say: Say) -> None:
        for identifier in ("", "abc", 0, 1.5):
            assert (await say("user_message", {"content": "x"}, id=identifier)).json()["id"] == identifier
        assert (await say("user_message", {"content": "x"}, id=None)).json() == QUEUED

    async def test_method_may_have_the_prefix_of_the_client(
        self, say: Say, live: Run, session: AsyncSession
    ) -> None:
        for prefix in ("posthog/", "_posthog/"):
            assert (await say(f"{prefix}user_message", {"content": "x"})).json() == QUEUED
        assert [method for method, *_ in await kept(session, live)] == ["user_message"] * 2

    async def test_blocks_are_kept_as_they_are(self, say: Say, live: Run, session: AsyncSession) -> None:
        blocks = [
            {"type": "text", "text": " look "},
            {"type": "resource_link", "name": "n", "uri": "https://example.com"},
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
        ]
        assert (await say("user_message", {"content": blocks})).json() == QUEUED
        assert (await kept(session, live))[0][1]["content"] == blocks

    async def test_files_alone_are_a_message(self, say: Say, live: Run, session: AsyncSession) -> None:
        contents: tuple[JSON, ...] = ({}, {"content": None}, {"content": " "})
        for content in contents:
            assert (await say("user_message", {**content, "artifact_ids": [FILE["id"]]})).json() == QUEUED
        assert [params for _, params, _ in await kept(session, live)] == [{"artifact_ids": [FILE["id"]]}] * 3

    async def test_unknown_files_are_named_and_nothing_is_kept(
        self, say: Say, live: Run, session: AsyncSession
    ) -> None:
        wanted = ["b" * 32, FILE["id"], "c", "b" * 32]
        response = await say("user_message", {"content": "x", "artifact_ids": wanted})
        assert (response.status_code, response.json()) == (
            400,
            {
                "error": "Some artifact_ids are invalid for this run",
                "missing_artifact_ids": ["b" * 32, "c"],
            },
        )
        assert await kept(session, live) == []

    async def test_agent_stops_waiting_for_a_message(
        self, say: Say, live: Run, session: AsyncSession, task: Task
    ) -> None:
        _ = await ask(session, task, live, kind="message")
        await say("user_message", {"content": "x"})
        assert await state_of(session, live) == {"mode": "interactive"}

    async def test_message_answers_no_permission_request(
        self, say: Say, live: Run, session: AsyncSession, task: Task
    ) -> None:
        await ask(session, task, live)
        assert (await say("user_message", {"content": "yes"})).json() == QUEUED
        assert (await state_of(session, live))["waiting_for"] == ASKED

    async def test_message_beyond_the_open_ones_allowed_is_refused(
        self, say: Say, session: AsyncSession
    ) -> None:
        assert "result" in (await say("user_message", {"content": "first"})).json()
        columns = [column for column in RunCommand.__table__.columns if column.name not in {"id", "position"}]
        [row] = (await session.execute(select(*columns))).mappings().all()
        copies = [{**row, "id": new_id()} for _ in range(MAX_OPEN - 2)]
        await session.execute(insert(RunCommand), copies)
        assert "result" in (await say("user_message", {"content": "last"})).json()
        refused = await say("user_message", {"content": "one more"}, id="x")
        assert (refused.status_code, refused.json()) == (
            200,
            {
                "jsonrpc": "2.0",
                "error": {"code": -32000, "message": "100 commands wait for this agent already."},
                "id": "x",
            },
        )
        assert (await say("cancel")).json() == QUEUED
        await session.execute(update(RunCommand).values(status=CommandStatus.CONSUMED, settled_at=utcnow()))
        assert (await say("user_message", {"content": "one more"})).json() == QUEUED


class TestCancelAndClose:
    @pytest.mark.parametrize("method", ["cancel", "close"])
    async def test_second_one_adds_nothing(
        self, say: Say, method: str, live: Run, session: AsyncSession
    ) -> None:
        for _ in range(2):
            assert (await say(method, {"reason": "ignored"})).json() == QUEUED
        assert await kept(session, live) == [(method, {}, "accepted")]


class TestPermissionResponse:
    async def test_second_answer_changes_nothing_of_the_first(
        self, say: Say, live: Run, session: AsyncSession, task: Task
    ) -> None:
        await ask(session, task, live)
        answer = {**ANSWER, "customInput": "only this once", "answers": {"why": "because"}}
        first = await say("permission_response", answer, id=1)
        assert first.json() == {"jsonrpc": "2.0", "result": {"resolved": True}, "id": 1}
        assert await state_of(session, live) == {"mode": "interactive"}

        second = await say("permission_response", {"requestId": "r1", "optionId": "no"}, id=2)
        assert (second.status_code, second.json()["error"]["code"]) == (200, -32602)
        assert [(method, params) for method, params, _ in await kept(session, live)] == [
            (
                "permission_response",
                {
                    "request_id": "r1",
                    "option_id": "yes",
                    "custom_input": "only this once",
                    "answers": {"why": "because"},
                },
            )
        ]

    async def test_id_may_be_spelled_as_in_the_inbox(
        self, say: Say, live: Run, session: AsyncSession, task: Task
    ) -> None:
        id_ = new_id()
        await ask(session, task, live, id=id_, request_id=id_.hex)
        response = await say("permission_response", {**ANSWER, "requestId": str(id_)})
        assert response.json()["result"] == {"resolved": True}
        assert (await kept(session, live))[0][1]["request_id"] == id_.hex

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (
                {**ANSWER, "requestId": "r2"},
                "There is no such permission request, or it was answered already.",
            ),
            ({**ANSWER, "optionId": "maybe"}, "The request offers the options yes, no."),
        ],
    )
    async def test_answer_to_nothing_is_a_json_rpc_error(
        self, say: Say, answer: JSON, message: str, live: Run, session: AsyncSession, task: Task
    ) -> None:
        await ask(session, task, live)
        response = await say("permission_response", answer)
        assert (response.status_code, response.json()) == (
            200,
            {"jsonrpc": "2.0", "error": {"code": -32602, "message": message}},
        )
        assert (await state_of(session, live))["waiting_for"] == ASKED
        assert await kept(session, live) == []


@pytest.mark.parametrize("value", ["plan", True])
async def test_change_of_an_option_is_queued(say: Say, value: Any, live: Run, session: AsyncSession) -> None:
    assert (await say("set_config_option", {"configId": "mode", "value": value})).json() == QUEUED
    assert (await kept(session, live))[0][1] == {"config_id": "mode", "value": value}


async def test_malformed_request_is_refused(client: httpx.AsyncClient, url: str) -> None:
    bodies: list[tuple[JSON, str, str]] = [
        ({}, "jsonrpc", "required"),
        ({"jsonrpc": "1.0", "method": "cancel"}, "jsonrpc", "invalid_choice"),
        ({"jsonrpc": "2.0"}, "method", "required"),
        ({"jsonrpc": "2.0", "method": "dance"}, "method", "invalid_choice"),
        ({"jsonrpc": "2.0", "method": "posthog/dance"}, "method", "invalid_choice"),
        ({"jsonrpc": "2.0", "method": ["cancel"]}, "method", "invalid_choice"),
        ({"jsonrpc": "2.0", "method": "cancel", "params": []}, "params", "not_a_dict"),
        ({"jsonrpc": "2.0", "method": "cancel", "params": None}, "params", "null"),
        ({"jsonrpc": "2.0", "method": "cancel", "id": {}}, "id", "invalid_input"),
        ({"jsonrpc": "2.0", "method": "cancel", "id": True}, "id", "invalid_input"),
        ({"jsonrpc": "2.0", "method": "cancel", "id": "x" * 256}, "id", "max_length"),
        ({"jsonrpc": "2.0", "method": "user_message"}, "params", "invalid_input"),
    ]
    for body, attr, code in bodies:
        with concerning(body):
            assert_invalid(await client.post(url, json=body), attr, code)


# A method, parameters that it does not take, the one that is named, and the code.
BAD_PARAMS: list[tuple[str, JSON, str, str]] = [
    *(
        ("user_message", {"content": content}, "params__content", "invalid_input")
        for content in (5, ["x"], [{"type": "hologram"}], [{"type": "text", "text": 5}], [{"type": "image"}])
    ),
    *(
        ("user_message", {"content": content}, "params__content", "max_length")
        for content in (
            [{"type": "text", "text": "x"}] * 101,
            "x" * 1_000_001,
            [{"type": "text", "text": "x" * 10**6}],
        )
    ),
    *(
        ("user_message", {"content": content}, "params", "null_characters_not_allowed")
        for content in ("a\x00b", [{"type": "text", "text": "a\x00b"}])
    ),
    ("user_message", {"content": []}, "params", "invalid_input"),
    ("user_message", {"artifact_ids": "a"}, "params__artifact_ids", "not_a_list"),
    ("user_message", {"artifact_ids": [" "]}, "params__artifact_ids__0", "blank"),
    ("user_message", {"artifact_ids": ["a"] * 101}, "params__artifact_ids", "max_length"),
    ("permission_response", {"optionId": "yes"}, "params__requestId", "required"),
    ("permission_response", {"requestId": "r1"}, "params__optionId", "required"),
    ("permission_response", {"requestId": "r1", "optionId": " "}, "params__optionId", "blank"),
    ("permission_response", {**ANSWER, "answers": []}, "params__answers", "not_a_dict"),
    ("permission_response", {**ANSWER, "answers": {"a": 1}}, "params__answers", "invalid_input"),
    *(
        ("permission_response", {**ANSWER, "answers": answers}, "params__answers", "max_length")
        for answers in ({"a": "x" * 10_001}, {"x" * 10_001: "a"}, {str(number): "" for number in range(101)})
    ),
    ("permission_response", {**ANSWER, "customInput": "x" * 10_001}, "params__customInput", "max_length"),
    ("set_config_option", {"value": "x"}, "params__configId", "required"),
    ("set_config_option", {"configId": "mode"}, "params__value", "required"),
    ("set_config_option", {"configId": "mode", "value": ""}, "params__value", "blank"),
]


async def test_bad_params_are_refused(say: Say, live: Run, session: AsyncSession) -> None:
    for method, params, attr, code in BAD_PARAMS:
        with concerning(f"{method}: {params}"[:99]):
            assert_invalid(await say(method, params), attr, code)
    assert await kept(session, live) == []


UNCLAIMED: JSON = {"lease_owner": None, "lease_expires_at": None}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": RunStatus.QUEUED, **UNCLAIMED}, id="not begun"),
        pytest.param({"status": RunStatus.COMPLETED, "completed_at": utcnow(), **UNCLAIMED}, id="over"),
        pytest.param({"environment": Environment.LOCAL}, id="the client's"),
        pytest.param(UNCLAIMED, id="no worker"),
        pytest.param({"facts": {"agent_ended_at": "2026-03-01T10:00:00+00:00"}}, id="agent has ended"),
    ],
)
async def test_run_without_a_live_agent_takes_no_command(
    say: Say, live: Run, session: AsyncSession, changes: JSON
) -> None:
    await session.execute(update(Run).where(Run.id == live.id).values(changes))
    response = await say("user_message", {"content": "x", "artifact_ids": ["unknown"]})
    assert (response.status_code, response.json()) == (
        400,
        {"error": "No active sandbox for this task run"},
    )
    assert await kept(session, live) == []


async def test_run_with_a_lapsed_lease_has_no_live_agent(say: Say, clock: MovableClock) -> None:
    clock.advance(seconds=60)
    assert (await say("cancel")).json() == {"error": "No active sandbox for this task run"}


async def test_repeated_request_is_one_command(
    client: httpx.AsyncClient, url: str, live: Run, session: AsyncSession
) -> None:
    body = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": "x"}, "id": 1}
    answers = [await client.post(url, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert len(await kept(session, live)) == 1


class TestOrder:
    async def test_bad_body_comes_before_the_look_up(self, client: httpx.AsyncClient, task_url: str) -> None:
        url = f"{task_url}/runs/{new_id()}/command"
        assert_invalid(await client.post(url, json={}), "jsonrpc", "required")
        assert_not_found(await client.post(url, json={"jsonrpc": "2.0", "method": "cancel"}))

    async def test_run_of_another_task_is_not_found(
        self, client: httpx.AsyncClient, new_task: NewTask, live: Run, tasks_url: str
    ) -> None:
        url = f"{tasks_url}/{(await new_task()).id}/runs/{live.id}/command"
        assert_not_found(await client.post(url, json={"jsonrpc": "2.0", "method": "cancel"}))


class TestQueue:
    async def test_shows_what_the_agent_has_not_been_given(
        self, say: Say, live: Run, session: AsyncSession
    ) -> None:
        blocks = [{"type": "text", "text": "a"}, {"type": "image", "data": "", "mimeType": ""}]
        await say("user_message", {"content": "given"})
        await session.execute(update(RunCommand).values(status=CommandStatus.DELIVERED))
        await say("user_message", {"content": [*blocks, {"type": "text", "text": "b"}]})
        await say("user_message", {"content": "now", "steer": True})
        await say("user_message", {"artifact_ids": [FILE["id"]], "steer": False})
        await say("set_config_option", {"configId": "mode", "value": "plan"})
        before = await kept(session, live)
        none: JSON = {}
        for params in (none, ...):
            response = await say("posthog/queue_get", params, id=3)
            assert (response.status_code, response.json()["id"]) == (200, 3)
            assert queued(response) == {"steering": ["now"], "followUp": ["a\nb", ""]}
        assert await kept(session, live) == before

    async def test_messages_are_taken_out_once_and_commands_stay(
        self, say: Say, live: Run, session: AsyncSession, published: RecordingEvents
    ) -> None:
        await say("user_message", {"content": "one", "steer": True}, id="a")
        await say("user_message", {"content": "two"})
        await say("cancel")
        await say("set_config_option", {"configId": "mode", "value": "plan"})
        cleared = await say("queue_clear")
        assert queued(cleared) == {"steering": ["one"], "followUp": ["two"]}
        for method in ("queue_clear", "queue_get"):
            assert (await say(method)).json()["result"] == {"steering": [], "followUp": [], "messages": []}
        assert [(method, status) for method, _, status in await kept(session, live)] == [
            ("user_message", "dropped"),
            ("user_message", "dropped"),
            ("cancel", "accepted"),
            ("set_config_option", "accepted"),
        ]
        receipts = [entry["notification"]["params"] for _, _, entry in published.published]
        assert [(each["status"], each["reason"], each.get("id")) for each in receipts] == [
            ("dropped", "cleared", "a"),
            ("dropped", "cleared", None),
        ]

    async def test_answer_of_the_agent_s_question_is_no_message_that_waits(
        self, say: Say, live: Run, session: AsyncSession, task: Task
    ) -> None:
        await ask(session, task, live, kind="message")
        await say("user_message", {"content": "the answer"})
        await say("user_message", {"content": "more"})
        for method in ("queue_get", "queue_clear"):
            assert queued(await say(method)) == {"steering": [], "followUp": ["more"]}

    async def test_one_message_is_shown_with_its_ids_and_taken_out_alone(
        self, say: Say, session: AsyncSession, published: RecordingEvents
    ) -> None:
        """Another device of the person had no way to show it, and no way to take it back alone."""
        await say("user_message", {"content": "one", "artifact_ids": [FILE["id"]]}, id="a")
        await say("user_message", {"content": "two", "steer": False})
        one, two = (await say("queue_get")).json()["result"]["messages"]
        ids = [
            str(each.id) for each in await session.scalars(select(RunCommand).order_by(RunCommand.position))
        ]
        assert one == {"command_id": ids[0], "id": "a", "text": "one", "artifact_ids": [FILE["id"]]}
        assert two == {"command_id": ids[1], "id": None, "text": "two", "artifact_ids": []}

        for expected in ([one], []):
            taken = await say("queue_clear", {"command_id": ids[0]})
            assert taken.json()["result"]["messages"] == expected
        assert (await say("queue_get")).json()["result"]["messages"] == [two]
        [(_, _, entry)] = published.published
        assert entry["notification"]["params"]["command_id"] == ids[0]
        assert_invalid(await say("queue_clear", {"command_id": "x"}), "params__command_id", "invalid_input")

    async def test_each_message_is_taken_out_by_one_of_many(self, say: Say) -> None:
        for number in range(5):
            await say("user_message", {"content": str(number)})
        answers = await asyncio.gather(*(say("queue_clear") for _ in range(4)))
        texts = [answer.json()["result"]["followUp"] for answer in answers]
        assert sorted(texts) == [[], [], [], ["0", "1", "2", "3", "4"]]

    async def test_steer_is_a_boolean(self, say: Say, live: Run, session: AsyncSession) -> None:
        wrong: list[Any] = [0, 1, "true", None, []]
        for steer in wrong:
            response = await say("user_message", {"content": "x", "steer": steer})
            assert_invalid(response, "params", "invalid_input")
            assert response.json()["detail"] == "steer must be a boolean when provided"
        await say("user_message", {"content": "x", "steer": True})
        assert [params for _, params, _ in await kept(session, live)] == [
            {"content": "x", "artifact_ids": [], "steer": True}
        ]
