"""What members ask of a run's verification: to see, repeat, waive, skip or cancel it (contract 18.3, 18.6)."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import Environment, EventType, RunStatus
from app.models import Event, Project, Run, Task, User, Verification
from app.services.events.event_reading import EVENT_COLUMNS
from app.services.events.event_types import CATALOGUE
from app.services.events.rendering import EventRow, event_out
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.callers import bearer
from tests.support.factories import make_key, make_run, make_sandbox_environment, make_task
from tests.support.stand_ins.fakes import RecordingQueue
from tests.support.verification import (
    BASE,
    COMMIT,
    OUTPUT,
    make_attempt,
    make_delivered_commit,
    make_verified_run,
    shown,
)

JSON = dict[str, Any]
Ask = Callable[..., Awaitable[httpx.Response]]
Ways = tuple[Callable[[Run], Awaitable[httpx.Response]], ...]

KEYS = [
    "verdict",
    "reasons",
    "attempt",
    "attempts",
    "commit",
    "base",
    "started_at",
    "finished_at",
    "stopped",
    "waived",
    "waivers",
    "setup",
    "checks",
    "found",
    "claims",
    "changed_tests",
    "protected_changed",
    "ci",
]
NOT_VERIFIED = {"error": "This run is not being verified"}
NO_RESULT = {"error": "This run has no result to verify"}
NO_SANDBOX = {"error": "No active sandbox for this task run"}
ENDS = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


@pytest.fixture
def ask(client: httpx.AsyncClient, task_url: str) -> Ask:
    """Send a request about a run of the task."""

    async def ask(verb: str, run: Run, path: str = "", **body: Any) -> httpx.Response:
        return await client.request(verb, f"{task_url}/runs/{run.id}{path}", json=body or None)

    return ask


async def command(ask: Ask, run: Run, method: str, **more: Any) -> httpx.Response:
    return await ask("POST", run, "/command", jsonrpc="2.0", method=method, **more)


async def events_of(session: AsyncSession, run: Run) -> list[tuple[str, JSON]]:
    """Return the types and data of a run's events, each of which fits its description."""
    of_run = select(*EVENT_COLUMNS).where(Event.run_id == run.id).order_by(Event.subject_seq)
    events = [event_out(EventRow(*row), "https://example.com") for row in await session.execute(of_run)]
    for event in events:
        body = {"type": event["type"], "timestamp": event["timestamp"].isoformat(), "data": event["data"]}
        Draft202012Validator(CATALOGUE[EventType(event["type"])].schema).validate(body)
    return [(event["type"], dict(event["data"])) for event in events]


class TestList:
    async def test_shows_the_newest_attempts_first_with_output(
        self, ask: Ask, session: AsyncSession, task: Task
    ) -> None:
        run = await make_verified_run(session, task=task, verdict="refuted")
        for attempt in range(2, 52):
            await make_attempt(session, run, shown(attempt=attempt, verdict="verified"))
        response = await ask("GET", run, "/verification")
        assert response.status_code == 200
        body = response.json()
        assert list(body) == ["count", "results"]
        assert [(each["attempt"], each["verdict"]) for each in body["results"]] == [
            (attempt, "verified") for attempt in range(51, 1, -1)
        ]
        assert body["count"] == 51
        for each in body["results"]:
            assert sorted(each) == sorted(KEYS)
            assert [check["tail"] for check in each["checks"]] == ["the end of its output"]

    async def test_of_a_run_that_was_not_verified_is_empty(self, ask: Ask, run: Run) -> None:
        assert (await ask("GET", run, "/verification")).json() == {"count": 0, "results": []}

    async def test_runs_and_tasks_show_the_newest_without_output(
        self, client: httpx.AsyncClient, ask: Ask, session: AsyncSession, task: Task, task_url: str
    ) -> None:
        run = await make_verified_run(session, task=task, verdict="refuted")
        for verification in (
            (await ask("GET", run)).json()["verification"],
            (await client.get(f"{task_url}/runs")).json()["results"][0]["verification"],
            (await client.get(task_url)).json()["latest_run"]["verification"],
        ):
            assert sorted(verification) == sorted(KEYS)
            assert "tail" not in verification["checks"][0]
        shown_so = (await ask("GET", run)).json()["verification"]
        assert (await ask("PATCH", run, verification=None)).json()["verification"] == shown_so

    async def test_verdict_in_the_output_cannot_be_forged(
        self, ask: Ask, session: AsyncSession, task: Task
    ) -> None:
        """Regression: a client could write it, or take it away."""
        forged = {"verification": {"verdict": "verified", "reasons": []}, "summary": "Done."}
        real = {"verification": {"verdict": "refuted", "reasons": []}}
        ways: Ways = (
            lambda run: ask("PATCH", run, output=forged),
            lambda run: ask("PATCH", run, "/set_output", **forged),
        )
        clearings: Ways = (
            lambda run: ask("PATCH", run, output=None),
            lambda run: ask("PATCH", run, "/set_output", output=None),
        )
        for change, left in (
            *((each, {"summary": "Done."}) for each in ways),
            *((each, {}) for each in clearings),
        ):
            run = await make_verified_run(session, task=task, verdict="refuted", output=real)
            assert (await change(run)).json()["output"] == {**real, **left}
        await session.execute(update(Task).where(Task.id == task.id).values(json_schema={"type": "object"}))
        for change in ways:
            run = await make_run(session, task=task)
            assert (await change(run)).json()["output"] == forged, "all of it is what the schema asks for"
        cleared = await make_run(session, task=task, output=forged)
        assert (await clearings[0](cleared)).json()["output"] is None

    async def test_run_of_a_task_that_is_not_visible_is_not_found(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        tasks_url: str,
        colleague: User,
    ) -> None:
        theirs = await make_task(session, project=project, created_by=colleague)
        run = await make_verified_run(session, task=theirs, verdict="refuted")
        url = f"{tasks_url}/{theirs.id}/runs/{run.id}"
        assert_not_found(await client.get(f"{url}/verification"))
        assert_not_found(await client.post(f"{url}/verify"))
        assert_not_found(await client.post(f"{url}/verification/waive", json={"reason": "x"}))
        skip = {"jsonrpc": "2.0", "method": "skip_verification"}
        assert_not_found(await client.post(f"{url}/command", json=skip))


class TestVerify:
    async def test_opens_an_attempt_at_the_delivered_commit(
        self, ask: Ask, session: AsyncSession, task: Task, queue: RecordingQueue
    ) -> None:
        waiver = {"reason": "x", "user": None, "at": "2026-03-01T10:00:00Z"}
        run = await make_verified_run(session, task=task, verdict="refuted")
        await make_attempt(session, run, shown(2, "refuted", waived=True, waivers=[waiver]))
        before = (await ask("GET", run)).json()

        response = await ask("POST", run, "/verify")

        assert (response.status_code, response.json()) == (202, {"attempt": 3})
        after = (await ask("GET", run)).json()
        verification = after.pop("verification")
        assert {**before, "updated_at": 0} == {
            **after,
            "updated_at": 0,
            "verification": before["verification"],
        }
        assert (verification["verdict"], verification["attempt"], verification["attempts"]) == (None, 3, 3)
        assert (verification["commit"], verification["base"]) == (COMMIT, BASE)
        assert (verification["waived"], verification["waivers"], verification["finished_at"]) == (
            False,
            [],
            None,
        )
        assert await events_of(session, run) == []
        assert len(queue.jobs) == 1

    async def test_joins_the_attempt_that_is_open(self, ask: Ask, session: AsyncSession, task: Task) -> None:
        over = await make_verified_run(session, task=task, verdict="verified")
        assert (await ask("POST", over, "/verify")).json() == {"attempt": 2}
        verifying = await make_verified_run(session, task=task)
        for run, attempt in ((over, 2), (verifying, 1)):
            response = await ask("POST", run, "/verify")
            assert (response.status_code, response.json()) == (202, {"attempt": attempt})
        assert await session.scalar(select(func.count()).select_from(Verification)) == 3

    async def test_run_in_any_final_status_can_be_verified(
        self, ask: Ask, session: AsyncSession, task: Task
    ) -> None:
        """It may have been delivered before anything was to be checked."""
        for status in ENDS:
            run = await make_run(session, task=task, status=status)
            await make_delivered_commit(session, run)
            assert (await ask("POST", run, "/verify")).json() == {"attempt": 1}

    async def test_run_without_a_result_is_refused(self, ask: Ask, session: AsyncSession, task: Task) -> None:
        live = [status for status in RunStatus if status not in ENDS]
        runs = [await make_run(session, task=task, status=status) for status in (*live, *ENDS)]
        local = await make_run(session, task=task, status=RunStatus.COMPLETED, environment=Environment.LOCAL)
        for run in (*runs[: len(live)], local):
            await make_delivered_commit(session, run)
        for run in (*runs, local):
            response = await ask("POST", run, "/verify")
            with concerning((run.status, run.environment)):
                assert (response.status_code, response.json()) == (400, NO_RESULT)

    async def test_repeated_request_opens_one_attempt(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str
    ) -> None:
        run = await make_verified_run(session, task=task, verdict="verified")
        key = {"Idempotency-Key": "again"}
        url = f"{task_url}/runs/{run.id}/verify"
        answers = [await client.post(url, headers=key) for _ in range(2)]
        assert [answer.json() for answer in answers] == [{"attempt": 2}] * 2
        assert answers[1].headers["Idempotent-Replayed"] == "true"

    async def test_run_that_begins_again_drops_the_attempt_to_verify_it(
        self, ask: Ask, session: AsyncSession, task: Task
    ) -> None:
        run = await make_verified_run(session, task=task, verdict="refuted")
        assert (await ask("POST", run, "/verify")).status_code == 202
        assert (await ask("POST", run, "/resume_in_cloud")).json()["verification"] is None
        attempts = (await ask("GET", run, "/verification")).json()["results"]
        assert [attempt["verdict"] for attempt in attempts] == ["inconclusive", "refuted"]
        (type_, data), _ = await events_of(session, run)
        assert (type_, data["cause"]) == ("verification.updated", "rerun"), "not one more end of the run"


class TestWaive:
    async def test_accepts_the_work_and_leaves_the_verdict(
        self, ask: Ask, session: AsyncSession, task: Task, owner: User
    ) -> None:
        for verdict in ("refuted", "inconclusive"):
            run = await make_verified_run(session, task=task, verdict=verdict)
            response = await ask("POST", run, "/verification/waive", reason="  The test is wrong. ")
            assert response.status_code == 200
            [waiver] = response.json()["waivers"]
            assert waiver.keys() == {"reason", "user", "at"}
            assert (waiver["reason"], waiver["user"]["id"]) == ("The test is wrong.", owner.id)
            assert waiver["at"].endswith("Z")
            assert (response.json()["verdict"], response.json()["waived"]) == (verdict, True)
            assert (await ask("GET", run)).json()["verification"] == response.json()
            [attempt] = (await ask("GET", run, "/verification")).json()["results"]
            assert (attempt["waived"], attempt["waivers"]) == (True, [waiver])
            updated = {"previous_verdict": verdict, "verdict": verdict, "attempt": 1, "cause": "waiver"}
            [(type_, data)] = await events_of(session, run)
            assert type_ == "verification.updated"
            assert data.items() >= {**updated, "waived": True}.items()

    async def test_second_waiver_changes_nothing(self, ask: Ask, session: AsyncSession, task: Task) -> None:
        run = await make_verified_run(session, task=task, verdict="refuted")
        first, second = [
            await ask("POST", run, "/verification/waive", reason=reason) for reason in ("one", "two")
        ]
        assert (second.status_code, second.json()) == (200, first.json())
        assert len(await events_of(session, run)) == 1

    async def test_any_member_may(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        task: Task,
        task_url: str,
        colleague: User,
    ) -> None:
        """Also of a run in a private environment, which others may not steer."""
        await session.execute(update(Task).where(Task.id == task.id).values(origin_product="signals_scout"))
        run = await make_verified_run(session, task=task, verdict="refuted")
        environment = await make_sandbox_environment(session, project=project, created_by=None)
        private = update(Run).where(Run.id == run.id).values(sandbox_environment_id=environment.id)
        await session.execute(private)
        headers = bearer(await make_key(session, user=colleague))
        url = f"{task_url}/runs/{run.id}"
        refused = await anonymous.post(f"{url}/verify", headers=headers)
        assert refused.status_code == 400
        assert "private sandbox environment" in refused.json()["error"]
        waived = await anonymous.post(f"{url}/verification/waive", json={"reason": "fine"}, headers=headers)
        assert waived.json()["waivers"][0]["user"]["id"] == colleague.id

    async def test_reason_is_needed(self, ask: Ask, session: AsyncSession, task: Task) -> None:
        run = await make_verified_run(session, task=task, verdict="refuted")
        for reason, code in (
            (" ", "blank"),
            ("x" * 501, "max_length"),
            ([], "invalid_input"),
            (None, "null"),
        ):
            response = await ask("POST", run, "/verification/waive", reason=reason)
            with concerning(reason):
                assert_invalid(response, "reason", code)
        assert_invalid(await ask("POST", run, "/verification/waive"), "reason", "required")

    async def test_there_must_be_something_to_waive(
        self, ask: Ask, session: AsyncSession, task: Task, run: Run
    ) -> None:
        runs = [run, await make_verified_run(session, task=task)]
        runs += [
            await make_verified_run(session, task=task, verdict=each) for each in ("verified", "claimed")
        ]
        for each in runs:
            response = await ask("POST", each, "/verification/waive", reason="x")
            assert (response.status_code, response.json()) == (400, {"error": "Nothing to waive"})


class TestSkip:
    async def test_completes_the_run_with_what_it_delivered(
        self, ask: Ask, session: AsyncSession, task: Task
    ) -> None:
        run = await make_verified_run(session, task=task)
        response = await command(ask, run, "skip_verification", id=7)
        assert response.status_code == 200
        assert response.json() == {"jsonrpc": "2.0", "result": {"skipped": True}, "id": 7}
        body = (await ask("GET", run)).json()
        assert (body["status"], body["stage"], body["error_message"]) == ("completed", "reviewing", None)
        assert body["output"].items() >= OUTPUT.items()
        assert body["verification"]["verdict"] == "claimed"
        assert [reason["code"] for reason in body["verification"]["reasons"]] == ["skipped_by_member"]
        [attempt] = (await ask("GET", run, "/verification")).json()["results"]
        assert (attempt["verdict"], attempt["finished_at"] is None) == ("claimed", False)
        finished, completed = await events_of(session, run)
        assert (finished[0], completed[0]) == ("verification.finished", "run.completed")
        assert (finished[1]["verdict"], finished[1]["final"]) == ("claimed", True)
        assert completed[1]["verdict"] == "claimed"

    async def test_run_that_waits_for_nobody_is_refused(
        self, ask: Ask, session: AsyncSession, task: Task, run: Run
    ) -> None:
        over = await make_verified_run(session, task=task, verdict="verified")
        assert (await ask("POST", over, "/verify")).status_code == 202
        ended = await make_verified_run(session, task=task, verdict="refuted")
        for each in (run, over, ended):
            response = await command(ask, each, "skip_verification")
            assert (response.status_code, response.json()) == (400, NOT_VERIFIED)

    async def test_needs_the_right_to_steer(
        self, ask: Ask, session: AsyncSession, task: Task, project: Project, colleague: User
    ) -> None:
        run = await make_verified_run(session, task=task)
        theirs = await make_sandbox_environment(session, project=project, created_by=colleague)
        private = {"sandbox_environment_id": theirs.id, "asked_by_id": colleague.id}
        await session.execute(update(Run).where(Run.id == run.id).values(private))
        response = await command(ask, run, "skip_verification")
        assert response.status_code == 400
        assert "private sandbox environment" in response.json()["error"]
        assert (await ask("GET", run)).json()["status"] == "in_progress"


class TestCancel:
    async def test_cancels_the_run_and_its_attempt(self, ask: Ask, session: AsyncSession, task: Task) -> None:
        ways: Ways = (
            lambda run: ask("PATCH", run, status="cancelled"),
            lambda run: ask("POST", run, "/cancel", reason="enough"),
            lambda run: command(ask, run, "cancel"),
        )
        for cancel in ways:
            run = await make_verified_run(session, task=task)
            response = await cancel(run)
            assert response.status_code in (200, 202), response.text
            body = (await ask("GET", run)).json()
            assert (body["status"], body["verification"]["verdict"]) == ("cancelled", "inconclusive")
            assert [reason["code"] for reason in body["verification"]["reasons"]] == ["cancelled"]
            [attempt] = await session.scalars(select(Verification).where(Verification.run_id == run.id))
            assert attempt.finished_at is not None
            finished, cancelled = await events_of(session, run)
            assert (finished[0], cancelled[0]) == ("verification.finished", "run.cancelled")
            assert (finished[1]["verdict"], finished[1]["final"]) == ("inconclusive", True)

    async def test_of_a_re_run_ends_its_attempt_alone(
        self, ask: Ask, session: AsyncSession, task: Task
    ) -> None:
        """Regression: nothing could stop a re-run."""
        ways: Ways = (
            lambda run: ask("POST", run, "/cancel"),
            lambda run: command(ask, run, "cancel"),
        )
        for cancel, status, again in zip(ways, (202, 200), (200, 400), strict=True):
            run = await make_verified_run(session, task=task, verdict="refuted")
            before = (await ask("GET", run)).json()
            assert (await ask("POST", run, "/verify")).status_code == 202
            assert (await cancel(run)).status_code == status
            after = (await ask("GET", run)).json()
            verification = after.pop("verification")
            assert after | {"updated_at": 0} == {
                key: before[key] for key in before if key != "verification"
            } | {"updated_at": 0}
            assert (verification["verdict"], verification["attempt"]) == ("inconclusive", 2)
            assert [reason["code"] for reason in verification["reasons"]] == ["cancelled"]
            [(type_, data)] = await events_of(session, run)
            assert type_ == "verification.updated"
            updated = {
                "verdict": "inconclusive",
                "previous_verdict": "refuted",
                "attempt": 2,
                "cause": "rerun",
            }
            assert data.items() >= updated.items()
            assert (await cancel(run)).status_code == again
            assert len(await events_of(session, run)) == 1
            assert (await ask("POST", run, "/verify")).json() == {"attempt": 3}

    async def test_status_that_the_run_has_ends_nothing(
        self, ask: Ask, session: AsyncSession, task: Task
    ) -> None:
        """Regression: the run was left in progress for ever, and nobody checked it."""
        run = await make_verified_run(session, task=task)
        body = (await ask("PATCH", run, status="in_progress")).json()
        assert (body["status"], body["stage"], body["verification"]["verdict"]) == (
            "in_progress",
            "verifying",
            None,
        )

    async def test_other_commands_find_no_agent(self, ask: Ask, session: AsyncSession, task: Task) -> None:
        run = await make_verified_run(session, task=task)
        for method, params in (
            ("close", {}),
            ("queue_get", {}),
            ("queue_clear", {}),
            ("user_message", {"content": "x"}),
            ("set_config_option", {"configId": "mode", "value": "plan"}),
        ):
            response = await command(ask, run, method, params=params)
            with concerning(method):
                assert (response.status_code, response.json()) == (400, NO_SANDBOX)


@pytest.mark.usefixtures("signing_key")
async def test_tokens_of_a_run_reach_no_write(
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    task: Task,
    task_url: str,
    tasks_url: str,
) -> None:
    run = await make_verified_run(session, task=task, verdict="refuted")
    url = f"{task_url}/runs/{run.id}"
    sets = tasks_url.replace("/tasks", "/check_sets")
    for kind in ("connection_token", "stream_token"):
        token = bearer((await client.get(f"{url}/{kind}")).json()["token"])
        for method, path in (
            ("POST", f"{url}/verify"),
            ("POST", f"{url}/verification/waive"),
            ("POST", f"{url}/command"),
            ("POST", sets),
            ("PATCH", f"{sets}/{run.id}"),
            ("DELETE", f"{sets}/{run.id}"),
        ):
            response = await anonymous.request(method, path, json={}, headers=token)
            with concerning(f"{kind}: {path}"):
                assert response.status_code in (401, 403)
