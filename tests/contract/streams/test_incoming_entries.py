"""Agents outside our workers, such as the reference's own agent-server (contract 13.16).

Each event arrives once, by the first of several ways; the events end, and so does a run with a silent agent.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.models import Run, RunEventId, RunLogState
from app.runtime import ProcessContext
from app.services.run_log.log_writing import sweep_event_ids
from app.services.runs.lost_runs import recover_runs
from app.services.runs.usage import spent_by_others
from tests.support.assertions import concerning
from tests.support.clock import MovableClock, let_time_pass
from tests.support.database.faults import refusing_once
from tests.support.stand_ins.outside_agents import Agent, line, published
from tests.support.waiting import eventually
from tests.support.web.streams import following

JSON = dict[str, Any]
SILENCE = timedelta(minutes=30)
REPORTED = {
    "input_tokens": 90,
    "output_tokens": 10,
    "cache_read_tokens": 5,
    "cache_write_tokens": 3,
    "thought_tokens": 2,
    "total_tokens": 110,
    "turns": 1,
}


@pytest.fixture
def run_id(run: JSON) -> UUID:
    return UUID(run["id"])


def event(id_: str | None, text: str, kind: str = "agent_message") -> JSON:
    update = {"sessionUpdate": kind, "content": {"type": "text", "text": text}}
    notification = {"jsonrpc": "2.0", "method": "session/update", "params": {"update": update}}
    ids = {} if id_ is None else {"event_id": id_}
    return {
        "type": "notification",
        "timestamp": "2026-03-01T10:00:00.000Z",
        **ids,
        "notification": notification,
    }


def texts(entries: list[Any]) -> list[str]:
    return [
        entry["notification"]["params"]["update"]["content"]["text"]
        for entry in entries
        if entry.get("type") == "notification"
    ]


async def append(api: httpx.AsyncClient, url: str, *entries: JSON) -> None:
    response = await api.post(f"{url}/append_log", json={"entries": entries})
    assert response.status_code == 200, response.text


async def log_of(api: httpx.AsyncClient, url: str) -> list[str]:
    return texts((await api.get(f"{url}/session_logs?limit=5000")).json())


def completion(final_seq: Any) -> bytes:
    return orjson.dumps({"type": "_posthog/stream_complete", "final_seq": final_seq}) + b"\n"


def completions(events: list[Any]) -> list[int]:
    return [data["final_seq"] for data in events if data.get("type") == "_posthog/stream_complete"]


class TestOnce:
    async def test_event_is_kept_and_published_once_by_the_way_it_comes_first(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        first, second, third = event("a-1", "one"), event("a-2", "two"), event("a-3", "three")
        assert (await agent.post(line(1, first))).json() == {"last_accepted_seq": 1}
        await append(api, url, first, second)
        assert (await agent.post(line(2, second) + line(3, third))).json() == {"last_accepted_seq": 3}
        await append(api, url, first, second, third, third)
        assert await log_of(api, url) == ["one", "two", "three"]
        assert texts(await published(api, url)) == ["one", "two", "three"]

    async def test_both_ways_at_the_same_time_keep_and_publish_each_event_once(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        events = [event(f"a-{number}", str(number)) for number in range(1, 41)]
        numbered = b"".join(line(number, each) for number, each in enumerate(events, start=1))
        await asyncio.gather(
            agent.post(numbered),
            agent.post(numbered),
            *(append(api, url, *events[first : first + 10]) for first in (0, 10, 20, 30)),
        )
        expected = sorted(str(number) for number in range(1, 41))
        assert sorted(await log_of(api, url)) == expected
        assert sorted(texts(await published(api, url))) == expected

    async def test_whole_message_is_kept_and_its_pieces_published(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        pieces = line(1, event("a-1", "Good ", "agent_message_chunk")) + line(
            2, event("a-2", "day", "agent_message_chunk")
        )
        assert (await agent.post(pieces)).status_code == 200
        # As the reference's agent writes it: the id of the last piece.
        await append(api, url, event("a-2", "Good day") | {"first_event_id": "a-1"})
        await append(api, url, event("a-2", "Good day") | {"first_event_id": "a-1"})
        assert await log_of(api, url) == ["Good day"]
        assert texts(await published(api, url)) == ["Good ", "day"]

    async def test_event_without_a_usable_id_is_taken_each_time(
        self, api: httpx.AsyncClient, url: str
    ) -> None:
        ids: tuple[Any, ...] = (None, "", 7, ["a"], "x" * 129)
        for number, id_ in enumerate(ids, start=1):
            entry = event(None, "again") | ({} if id_ is None else {"event_id": id_})
            await append(api, url, entry, entry)
            assert await log_of(api, url) == ["again"] * 2 * number
        # NUL is refused anywhere in a body.
        entry = event("a\x00", "again")
        assert (await api.post(f"{url}/append_log", json={"entries": [entry]})).status_code == 400

    async def test_ids_of_one_run_are_not_those_of_another(
        self, api: httpx.AsyncClient, task_url: str, url: str
    ) -> None:
        other = f"{task_url}/runs/{(await api.post(f'{task_url}/runs')).json()['id']}"
        for each in (url, other):
            await append(api, each, event("a-1", "one"))
            assert await log_of(api, each) == ["one"]

    async def test_ids_are_forgotten_a_day_after_their_run(
        self, api: httpx.AsyncClient, url: str, sessions: SessionFactory, clock: MovableClock
    ) -> None:
        await append(api, url, event("a-1", "one"))
        await api.patch(url, json={"status": "completed"})
        for hours, left in ((23, 1), (1, 0)):
            clock.advance(hours=hours)
            async with unit_of_work(sessions) as session:
                await sweep_event_ids(session)
                assert await session.scalar(select(func.count()).select_from(RunEventId)) == left


class TestCompletion:
    async def test_completion_is_answered_each_time_and_published_once(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        for _ in range(3):
            response = await agent.post(line(1) + line(2) + completion(2))
            assert (response.status_code, response.json()) == (200, {"last_accepted_seq": 2})
        events = await published(api, url)
        assert completions(events) == [2]
        # Behind the events that it closes, and not a line of the log.
        assert [data.get("type") for data in events[-3:]] == [
            "notification",
            "_posthog/stream_complete",
            "task_run_state",
        ]
        assert len((await api.get(f"{url}/session_logs")).json()) == 2

    async def test_completion_is_the_last_line_that_is_read(self, agent: Agent) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield line(1) + completion(1)
            yield b"no JSON\n"

        assert (await agent.post(body())).json() == {"last_accepted_seq": 1}

    async def test_completion_before_all_events_came_is_answered_with_the_position(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        response = await agent.post(line(1) + completion(2))
        assert (response.status_code, response.json()) == (409, {"last_accepted_seq": 1})
        assert completions(await published(api, url)) == []

    async def test_agent_that_is_started_again_goes_on_and_completes_again(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        await agent.post(line(1) + completion(1))
        assert (await agent.post(line(2) + completion(2))).json() == {"last_accepted_seq": 2}
        assert completions(await published(api, url)) == [1, 2]

    async def test_run_that_is_over_answers_what_it_has_and_takes_nothing_new(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        await agent.send(1)
        await api.patch(url, json={"status": "failed"})
        for body in (line(1), completion(1), line(1) + completion(1)):
            response = await agent.post(body)
            assert (response.status_code, response.json()) == (200, {"last_accepted_seq": 1})
        response = await agent.post(line(2) + completion(2))
        assert (response.status_code, response.json()) == (400, {"error": "Run is already failed"})
        async with following(api, url) as stream:
            assert completions([event.data for event in await stream.rest()]) == []

    async def test_wrong_number_is_named(self, agent: Agent) -> None:
        for final_seq in (None, "1", -1, True, 1.5, 2**53):
            response = await agent.post(line(1) + completion(final_seq))
            error = response.json()
            with concerning(final_seq):
                assert (response.status_code, error["attr"]) == (400, "final_seq")
                assert error["detail"].startswith("Line 2: `final_seq` must be 0 or a positive integer.")
        assert await agent.send() == 1


class TestSilence:
    @pytest.fixture(autouse=True)
    def _standing_clock(self, clock: MovableClock) -> None:
        """Time passes where a test says so."""

    @pytest.fixture
    def sweep(self, process: ProcessContext) -> Any:
        async def sweep(silence: timedelta | None = SILENCE) -> None:
            await recover_runs(process, silence=silence)

        return sweep

    @pytest.fixture
    async def begun(self, api: httpx.AsyncClient, url: str, agent: Agent) -> None:
        assert (await api.patch(url, json={"status": "in_progress"})).status_code == 200
        await agent.send(1)

    @pytest.mark.usefixtures("begun")
    async def test_run_of_a_silent_agent_fails_with_the_reason(
        self, api: httpx.AsyncClient, url: str, sweep: Any, clock: MovableClock
    ) -> None:
        clock.advance(minutes=29, seconds=59)
        await sweep()
        assert (await api.get(url)).json()["status"] == "in_progress"
        clock.advance(seconds=1)
        await sweep(None)
        assert (await api.get(url)).json()["status"] == "in_progress"
        await sweep()
        run = (await api.get(url)).json()
        assert run["status"] == "failed"
        assert run["error_message"] == "The agent of this run was silent for 1800 seconds."
        assert run["state"]["recovery"]["reason"] == "agent silent"
        assert run["completed_at"] is not None

    @pytest.mark.usefixtures("begun")
    async def test_everything_that_the_agent_does_is_a_sign_of_life(
        self, agent: Agent, api: httpx.AsyncClient, url: str, sweep: Any, clock: MovableClock
    ) -> None:
        for call in (
            agent.post,
            partial(append, api, url, event("a-1", "one")),
            partial(api.patch, url, json={"stage": "build"}),
            partial(api.patch, f"{url}/set_output", json={"n": 1}),
            partial(api.post, f"{url}/relay_message", json={"text": "hi"}),
        ):
            clock.advance(minutes=29)
            answer: httpx.Response | None = await call()
            clock.advance(minutes=29)
            await sweep()
            with concerning(call):
                assert answer is None or answer.status_code == 200
                assert (await api.get(url)).json()["status"] == "in_progress"

    @pytest.mark.usefixtures("begun")
    async def test_open_stream_is_a_sign_of_life_without_any_event_and_after_an_error(
        self,
        agent: Agent,
        api: httpx.AsyncClient,
        url: str,
        run_id: UUID,
        sessions: SessionFactory,
        sweep: Any,
        clock: MovableClock,
        engine: AsyncEngine,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        ended = asyncio.Event()
        opened = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"\n"
            opened.set()
            await ended.wait()

        sending = asyncio.create_task(agent.post(body()))
        await opened.wait()
        heard_at = select(RunLogState.heard_at).where(RunLogState.run_id == run_id)

        async def is_heard() -> bool:
            async with unit_of_work(sessions) as session:
                return await session.scalar(heard_at) == clock()

        clock.advance(minutes=1)
        let_time_pass(monkeypatch, seconds=15)
        await eventually(is_heard)
        async with refusing_once(engine, "run_logs"):
            let_time_pass(monkeypatch, seconds=15)
            await eventually(lambda: "run_ingest.sign_of_life_not_noted" in caplog.text)
        clock.advance(minutes=30)
        let_time_pass(monkeypatch, seconds=15)
        await eventually(is_heard)
        await sweep()
        assert (await api.get(url)).json()["status"] == "in_progress"
        ended.set()
        assert (await sending).status_code == 200

    async def test_local_run_with_a_client_that_never_sent_events_is_left_alone(
        self, api: httpx.AsyncClient, url: str, sweep: Any, clock: MovableClock
    ) -> None:
        await api.patch(url, json={"status": "in_progress"})
        await append(api, url, event("a-1", "one"))
        clock.advance(days=3)
        await sweep()
        assert (await api.get(url)).json()["status"] == "in_progress"

    async def test_cloud_run_that_its_agent_never_touched_again_fails(
        self, api: httpx.AsyncClient, task_url: str, sweep: Any, clock: MovableClock
    ) -> None:
        made = (await api.post(f"{task_url}/runs", json={"environment": "cloud"})).json()
        url = f"{task_url}/runs/{made['id']}"
        await api.patch(url, json={"status": "in_progress"})
        clock.advance(minutes=30)
        await sweep()
        assert (await api.get(url)).json()["status"] == "failed"

    @pytest.mark.usefixtures("begun")
    async def test_run_that_a_worker_holds_is_the_lease_s_to_judge(
        self,
        api: httpx.AsyncClient,
        url: str,
        run_id: UUID,
        sweep: Any,
        clock: MovableClock,
        sessions: SessionFactory,
    ) -> None:
        clock.advance(minutes=40)
        async with unit_of_work(sessions) as session:
            await session.execute(
                update(Run)
                .where(Run.id == run_id)
                .values(lease_owner="job", lease_expires_at=utcnow() + timedelta(seconds=30))
            )
        await sweep()
        assert (await api.get(url)).json()["status"] == "in_progress"


class TestUsage:
    async def test_tokens_that_the_agent_reports_count_like_ours(
        self, api: httpx.AsyncClient, url: str, run: JSON, sessions: SessionFactory
    ) -> None:
        changed = (await api.patch(url, json={"state": {"token_usage": REPORTED}})).json()
        assert changed["state"]["token_usage"] == REPORTED
        assert changed["state"]["usage"] == {
            "total_tokens": 110,
            "input_tokens": 90,
            "output_tokens": 10,
            "cached_read_tokens": 5,
            "cached_write_tokens": 3,
            "thought_tokens": 2,
        }
        async with unit_of_work(sessions) as session:
            spent = await spent_by_others(session, UUID(run["task"]), UUID(int=0))
        assert spent.tokens == 110

    async def test_reported_tokens_never_take_anything_back(self, api: httpx.AsyncClient, url: str) -> None:
        await api.patch(url, json={"state": {"token_usage": REPORTED}})
        for less in ({"total_tokens": 1}, {}, None, "x", {"total_tokens": -5}, {"total_tokens": True}):
            changed = (await api.patch(url, json={"state": {"token_usage": less}})).json()
            assert changed["state"]["usage"]["total_tokens"] == 110

    async def test_reported_cost_is_that_of_the_run_and_is_never_lowered(
        self, api: httpx.AsyncClient, url: str, run: JSON, sessions: SessionFactory
    ) -> None:
        """Tokens and cost rise each on their own; what is no amount in US dollars counts nothing."""

        def usd(amount: object) -> JSON:
            return {"amount": amount, "currency": "USD"}

        for report, tokens, cost in (
            ({"total_tokens": 10}, 10, None),
            ({"cost": {"amount": 3, "currency": "EUR"}}, 10, None),
            ({"cost": {"amount": 3}}, 10, None),
            ({"total_tokens": 9, "cost": usd(0.25)}, 10, 0.25),
            *(({"cost": usd(amount)}, 10, 0.25) for amount in (0.1, -1, "9", True, None, 2**53)),
            ({"total_tokens": 12}, 12, 0.25),
            ({"total_tokens": 1, "cost": usd(2)}, 12, 2),
        ):
            with concerning(str(report)):
                changed = await api.patch(url, json={"state": {"token_usage": report}})
                usage = changed.json()["state"]["usage"]
                assert (usage["total_tokens"], usage.get("cost")) == (tokens, cost and usd(cost))
        async with unit_of_work(sessions) as session:
            spent = await spent_by_others(session, UUID(run["task"]), UUID(int=0))
        assert (spent.tokens, spent.cost) == (12, 2.0)

    async def test_cost_without_tokens_is_usage_too(self, api: httpx.AsyncClient, url: str) -> None:
        report = {"cost": {"amount": 0.5, "currency": "USD"}}
        changed = await api.patch(url, json={"state": {"token_usage": report}})
        assert changed.json()["state"]["usage"] == report

    async def test_tokens_of_a_run_that_a_worker_performed_are_the_worker_s_to_count(
        self, api: httpx.AsyncClient, url: str, run_id: UUID, sessions: SessionFactory
    ) -> None:
        async with unit_of_work(sessions) as session:
            await session.execute(update(Run).where(Run.id == run_id).values(attempts=1))
        report = REPORTED | {"cost": {"amount": 1, "currency": "USD"}}
        changed = (await api.patch(url, json={"state": {"token_usage": report}})).json()
        assert "usage" not in changed["state"]
