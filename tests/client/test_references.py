"""What names a task, a run or a question, alike in both clients."""

import pytest

from taskbeacon.client import Conflict, NotFound
from tests.client.conftest import Calls, NewCalls
from tests.client.server import PROJECT, Server, answer, failure

TASK_ID = "01890000-0000-7000-8000-00000000000a"
RUN_ID = "01890000-0000-7000-8000-00000000000b"
RUN = {"id": RUN_ID, "task": TASK_ID, "status": "completed", "state": {}}
TASK = {"id": TASK_ID, "latest_run": RUN}
GET_TASK = f"GET {PROJECT}/tasks/{TASK_ID}"
GET_RUN = f"GET {PROJECT}/tasks/{TASK_ID}/runs/{RUN_ID}"
RESOLVE = f"GET {PROJECT}/resolve"
INBOX = "GET /api/users/@me/inbox"


async def test_ids_and_what_the_server_sent_need_no_other_request(server: Server, calls: Calls) -> None:
    server.on(GET_TASK, answer(TASK))
    server.on(GET_RUN, answer(RUN))
    page = f"{server.url}/console/projects/@current/tasks/{TASK_ID}"
    for task in (TASK_ID, TASK_ID.upper(), TASK, RUN, page, f"{page}/", f"{page}?pane=checks#top"):
        assert await calls.call("tasks.get", task) == TASK
    for run in (RUN, TASK, f"{page}/runs/{RUN_ID}"):
        assert await calls.call("runs.get", run) == RUN
    assert server.at(RESOLVE) == []


async def test_all_else_is_resolved_by_one_request(server: Server, calls: Calls) -> None:
    server.on(GET_TASK, answer(TASK))
    server.on(GET_RUN, answer(RUN))
    server.on(RESOLVE, answer({"task": TASK_ID, "run": RUN_ID}))
    for task in (41, "PLA-41", "018900", "@latest"):
        await calls.call("tasks.get", task)
    for run in (RUN_ID, "41", {"id": TASK_ID}, f"{server.url}/console/projects/@current/tasks/{TASK_ID}"):
        await calls.call("runs.get", run)
    asked = [(sent.query["kind"], sent.query["ref"]) for sent in server.at(RESOLVE)]
    assert asked[:4] == [("task", ref) for ref in ("41", "PLA-41", "018900", "@latest")]
    assert asked[4:] == [("run", ref) for ref in (RUN_ID, "41", TASK_ID, TASK_ID)]


async def test_the_project_of_a_page_counts(server: Server, calls: Calls) -> None:
    server.on(f"GET /api/projects/12/tasks/{TASK_ID}", answer(TASK))
    assert await calls.call("tasks.get", f"{server.url}/console/projects/12/tasks/{TASK_ID}") == TASK


async def test_pages_of_other_servers_are_refused(server: Server, calls: Calls) -> None:
    for page in (
        f"https://elsewhere.example/console/projects/1/tasks/{TASK_ID}",
        f"{server.url.replace('http:', 'https:')}/console/projects/1/tasks/{TASK_ID}",
        f"{server.url}/console/projects/1",
        "",
    ):
        with pytest.raises(ValueError, match=r"page|empty"):
            await calls.call("tasks.get", page)
    assert server.received == []


async def test_no_task_and_several(server: Server, calls: Calls) -> None:
    server.on(RESOLVE, failure(404, "not_found"), failure(409, "ambiguous_reference"))
    with pytest.raises(NotFound):
        await calls.call("runs.get", "7")
    with pytest.raises(Conflict) as raised:
        await calls.call("runs.get", "018900")
    assert raised.value.code == "ambiguous_reference"


async def test_below_a_path(server: Server, new_calls: NewCalls) -> None:
    server.on(f"GET /beacon/api/projects/1/tasks/{TASK_ID}", answer(TASK))
    calls = new_calls(f"{server.url}/beacon")
    page = f"{server.url}/beacon/console/projects/1/tasks/{TASK_ID}"
    assert await calls.call("tasks.get", page) == TASK


async def test_a_question_is_answered_as_the_inbox_shows_it(server: Server, calls: Calls) -> None:
    rows = [
        {
            "id": f"0189000{n}-0000-7000-8000-000000000000",
            "project_id": 3,
            "digest": f"d{n}",
            "opened_at": f"{n}",
            "title": f"Question {n}",
            "status": "open",
            "run": {"id": f"0189000{n}"},
        }
        for n in (1, 2)
    ]
    server.on(INBOX, answer({"next": None, "results": rows}))
    path = "/api/projects/3/questions/{}/answer"
    for number in (0, 1):
        server.on("POST " + path.format(rows[number]["id"]), answer({"status": "answered"}))
    for reference, row in (
        ("01890001", rows[0]),
        ("@latest", rows[1]),
        (rows[0]["id"], rows[0]),
        (rows[1], rows[1]),
    ):
        assert await calls.call("questions.answer", reference, option_id="allow") == {"status": "answered"}
        sent = server.received[-1]
        assert sent.path == path.format(row["id"])
        assert sent.json == {"digest": row["digest"], "option_id": "allow"}
        assert sent.headers["idempotency-key"]
    with pytest.raises(Conflict, match=r"Question 1.*Question 2"):
        await calls.call("questions.answer", "018900", option_id="allow")
    with pytest.raises(NotFound):
        await calls.call("questions.answer", "abcdef", option_id="allow")
    assert [sent.query["status"] for sent in server.at(INBOX)][-2:] == ["open", "all"]
    # Two of the newest run.
    server.reset(INBOX, answer({"next": None, "results": [*rows, rows[1] | {"id": "b", "title": "Third"}]}))
    with pytest.raises(Conflict, match=r"match: .*Question 2.*Third"):
        await calls.call("questions.answer", "@latest", option_id="allow")
