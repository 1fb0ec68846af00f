"""Events of an agent outside our workers (contract 6.4): who may send them, and how each is taken exactly once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import EVENT_LINE_BYTES, EVENT_LINES
from app.clock import utcnow
from app.models import Membership, Task, User
from app.services.runs.run_tokens import AUDIENCE
from tests.support.assertions import assert_error, assert_not_authenticated, assert_not_found, concerning
from tests.support.callers import Caller, bearer
from tests.support.clock import MovableClock
from tests.support.stand_ins.outside_agents import Agent, entry, line, published
from tests.support.web.streams import following

JSON = dict[str, Any]


async def log_of(api: httpx.AsyncClient, url: str) -> list[int]:
    entries = (await api.get(f"{url}/session_logs?limit=5000")).json()
    return [each["notification"]["params"]["n"] for each in entries]


def numbers(events: list[Any]) -> list[int]:
    return [data["notification"]["params"]["n"] for data in events if "notification" in data]


def assert_refused(response: httpx.Response) -> None:
    detail = "The run token is invalid or has expired."
    assert_error(response, 403, type="authentication_error", code="authentication_failed", detail=detail)


class TestTaking:
    async def test_events_go_to_the_log_and_to_the_stream(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        assert await agent.send() == 0
        assert await agent.send(1, 2, 3) == 3
        assert await agent.send(4) == 4
        assert await agent.send() == 4
        assert await log_of(api, url) == [1, 2, 3, 4]
        assert numbers(await published(api, url)) == [1, 2, 3, 4]

    async def test_event_is_taken_once_however_often_it_is_sent(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        assert await agent.send(1, 2) == 2
        assert await agent.send(1, 2) == 2
        assert await agent.send(1, 2, 2, 3, 3) == 3
        assert await log_of(api, url) == [1, 2, 3]
        assert numbers(await published(api, url)) == [1, 2, 3]

    async def test_requests_at_the_same_time_take_each_event_once(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        answers = await asyncio.gather(*(agent.send(*range(1, 60)) for _ in range(5)))
        assert answers == [59] * 5
        assert await log_of(api, url) == list(range(1, 60))
        assert numbers(await published(api, url)) == list(range(1, 60))

    async def test_missing_event_is_reported_and_those_before_it_are_taken(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        response = await agent.post(line(1) + line(2) + line(4) + line(5))
        assert (response.status_code, response.json()) == (409, {"last_accepted_seq": 2})
        assert await log_of(api, url) == [1, 2]
        assert await agent.send(3, 4, 5) == 5
        assert numbers(await published(api, url)) == [1, 2, 3, 4, 5]

    async def test_events_other_than_log_entries_are_only_published(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        update = {"update": {"sessionUpdate": "agent_message_chunk"}}
        chunk = {"type": "notification", "notification": {"method": "session/update", "params": update}}
        step = {"type": "step", "name": "build"}
        response = await agent.post(line(1, chunk) + line(2, step) + line(3))
        assert response.json() == {"last_accepted_seq": 3}
        assert await log_of(api, url) == [3]
        assert (await published(api, url))[1:4] == [chunk, step, entry(3)]

    async def test_events_are_taken_while_the_request_is_open(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        """Each event is sent only when the one before was seen on the stream."""
        seen = asyncio.Semaphore(0)

        async def body() -> AsyncIterator[bytes]:
            for number in range(1, 4):
                yield line(number)[:7]
                yield line(number)[7:]
                async with asyncio.timeout(120):
                    await seen.acquire()

        async with following(api, url) as stream:
            await stream.take(1)
            sending = asyncio.create_task(agent.post(body()))
            for number in range(1, 4):
                [taken] = await stream.take(1)
                assert taken.data == entry(number)
                seen.release()
            assert (await sending).json() == {"last_accepted_seq": 3}

    async def test_lines_may_be_empty_and_end_as_they_like(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        body = b"\n\r\n" + line(1).replace(b"\n", b"\r\n") + b"  \n" + line(2).strip()
        assert (await agent.post(body)).json() == {"last_accepted_seq": 2}
        assert await log_of(api, url) == [1, 2]

    async def test_many_events_are_taken_in_order(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        assert await agent.send(*range(1, 1501)) == 1500
        assert await log_of(api, url) == list(range(1, 1501))

    async def test_run_that_is_over_takes_no_more(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        await agent.send(1)
        await api.patch(url, json={"status": "cancelled"})
        for body in (b"", line(2)):
            response = await agent.post(body)
            assert (response.status_code, response.json()) == (400, {"error": "Run is already cancelled"})
        assert await log_of(api, url) == [1]


class TestWrongLines:
    async def test_wrong_line_is_named_and_those_before_it_are_taken(
        self, agent: Agent, api: httpx.AsyncClient, url: str
    ) -> None:
        ended = b'{"seq": 3, "event": {"type": "task_run_state", "status": "completed"}}'
        for wrong, code, attr, detail in (
            (b"{", "parse_error", None, "JSON parse error"),
            (b"[" * 300 + b"]" * 300, "parse_error", None, "JSON parse error - nested too deeply"),
            *(
                (wrong, "invalid_input", "seq", "`seq` must be a positive integer.")
                for wrong in (
                    b"[]",
                    *(
                        b'{"seq": %b, "event": {}}' % seq
                        for seq in (b'"3"', b"true", b"0", b"9007199254740992")
                    ),
                )
            ),
            (b'{"seq": 3}', "invalid_input", "event", "`event` must be an object."),
            (b'{"seq": 3, "event": []}', "invalid_input", "event", "`event` must be an object."),
            (ended, "invalid_input", "event", "only the service itself says `task_run_state`."),
            (b'{"seq": 3, "event": {"type": "gap"}}', "invalid_input", "event", "only the service"),
        ):
            response = await agent.post(line(1) + line(2) + wrong + b"\n" + line(3))
            error = response.json()
            with concerning(wrong[:40]):
                assert (response.status_code, list(error)) == (400, ["type", "code", "detail", "attr"])
                assert (error["code"], error["attr"]) == (code, attr)
                assert error["detail"].startswith(f"Line 3: {detail}")
                assert error["detail"].endswith("Events up to number 2 were taken.")
                assert await log_of(api, url) == [1, 2]
        assert await agent.send(3) == 3

    async def test_line_that_is_too_long_is_refused(self, agent: Agent) -> None:
        longest = {"type": "x", "x": "x" * (EVENT_LINE_BYTES - 100)}
        assert (await agent.post(line(1, longest))).json() == {"last_accepted_seq": 1}
        response = await agent.post(line(2) + line(3, longest | {"y": "y" * 200}))
        assert response.json()["detail"].startswith("Line 2: longer than 1048576 bytes.")
        assert await agent.send() == 2

    async def test_body_that_is_too_large_is_refused_behind_what_was_taken(self, agent: Agent) -> None:
        block = b" " * (EVENT_LINE_BYTES - 1) + b"\n"

        async def body() -> AsyncIterator[bytes]:
            yield line(1)
            for _ in range(21):
                yield block

        response = await agent.post(body())
        assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
        assert await agent.send() == 1

    @pytest.mark.walls
    @pytest.mark.parametrize("end", [b"", b"\n"])
    async def test_client_that_sends_all_of_it_first_gets_its_answer(
        self, api: httpx.AsyncClient, agent: Agent, url: str, end: bytes
    ) -> None:
        """The connection was reset before the client could read the response."""
        body = b"x" * (25 * 2**20) + end
        head = (
            f"POST {url}/event_stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {agent.token}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", api.base_url.port)
        writer.write(head.encode() + body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"Line 1: longer than 1048576 bytes." in answer

    async def test_too_many_lines_are_refused(self, agent: Agent) -> None:
        first = b"".join(line(1) for _ in range(EVENT_LINES))
        assert (await agent.post(first)).json() == {"last_accepted_seq": 1}
        response = await agent.post(first + line(2))
        assert response.json()["detail"].startswith(f"Line {EVENT_LINES + 1}: ")


class TestToken:
    async def test_upload_without_a_token_is_refused(self, api: httpx.AsyncClient, url: str) -> None:
        del api.headers["Authorization"]
        assert_not_authenticated(await api.post(f"{url}/event_stream"), 403)

    async def test_key_of_a_person_is_none(self, agent: Agent, caller: Caller) -> None:
        agent.token = caller.headers["Authorization"].removeprefix("Bearer ")
        assert_refused(await agent.post())

    async def test_forged_token_is_none(self, agent: Agent) -> None:
        claims = jwt.decode(agent.token, options={"verify_signature": False})
        other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        for forged in (
            jwt.encode(claims, other_key, algorithm="RS256"),
            jwt.encode(claims, "", algorithm="none"),
            jwt.encode(claims, "x" * 32, algorithm="HS256"),
            "x.y.z",
            "x" * 10_000,
        ):
            agent.token = forged
            assert_refused(await agent.post())
        assert claims["aud"] == AUDIENCE

    async def test_token_is_refused_after_a_day(self, clock: MovableClock, agent: Agent) -> None:
        clock.now += timedelta(hours=24) - timedelta(seconds=1)
        assert await agent.send() == 0
        clock.advance(seconds=1)
        assert_refused(await agent.post())

    async def test_token_is_for_one_run(
        self, agent: Agent, api: httpx.AsyncClient, task_url: str, url: str, tasks_url: str
    ) -> None:
        other = f"{task_url}/runs/{(await api.post(f'{task_url}/runs')).json()['id']}"
        assert_not_found(await agent.post(url=other))
        assert_not_found(await agent.post(url=url.replace(tasks_url, "/api/projects/999999/tasks")))
        assert_not_found(await agent.post(url=url.replace(url[-36:], "x")))
        current = url.replace(tasks_url, "/api/projects/@current/tasks")
        assert (await agent.post(url=current)).status_code == 200

    async def test_token_ends_with_what_its_user_may_see(
        self, agent: Agent, session: AsyncSession, owner: User, task_url: str
    ) -> None:
        assert await agent.send(1) == 1
        the_task, the_user = Task.id == UUID(task_url.rpartition("/")[2]), User.id == owner.id
        for change, back in (
            (
                update(Task).where(the_task).values(deleted=True, deleted_at=utcnow()),
                update(Task).where(the_task).values(deleted=False, deleted_at=None),
            ),
            (
                update(User).where(the_user).values(is_active=False),
                update(User).where(the_user).values(is_active=True),
            ),
        ):
            await session.execute(change)
            assert_not_found(await agent.post(line(2)))
            await session.execute(back)
        assert await agent.send(2) == 2
        await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        assert_not_found(await agent.post(line(3)))

    async def test_token_opens_nothing_else(self, agent: Agent, api: httpx.AsyncClient, url: str) -> None:
        headers = bearer(agent.token)
        for answer in (
            await api.get(url, headers=headers),
            await api.get(f"{url}/stream", headers=headers),
            await api.patch(url, json={"status": "completed"}, headers=headers),
            await api.post(f"{url}/append_log", json={"entries": [{}]}, headers=headers),
        ):
            assert answer.status_code == 403
