"""The log of a run: append, read whole or in pages, relay (contract 6.4, 9.2, 13.4, 13.12), on a real store."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.clients.storage.object_store import LOG_TAGS, ObjectStore
from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.clients.storage.storage_keys import RunRef
from app.config import Settings
from app.ids import new_id
from app.models import Run
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.makers import NewRun
from tests.support.web.clients import socket_client

JSON = dict[str, Any]


@pytest.fixture
def url(task_url: str, run: Run) -> str:
    return f"{task_url}/runs/{run.id}"


def update(kind: str, second: int = 0) -> JSON:
    return {
        "type": "notification",
        "timestamp": f"2026-03-01T10:00:{second:02d}.000Z",
        "notification": {
            "jsonrpc": "2.0",
            "method": "session/update",
            "params": {"update": {"sessionUpdate": kind}},
        },
    }


def event(method: str, second: int = 0) -> JSON:
    return {
        "type": "notification",
        "timestamp": f"2026-03-01T10:00:{second:02d}.000Z",
        "notification": {"jsonrpc": "2.0", "method": method},
    }


async def append(client: httpx.AsyncClient, url: str, *entries: JSON) -> httpx.Response:
    response = await client.post(f"{url}/append_log", json={"entries": list(entries)})
    assert response.status_code == 200, response.text
    return response


async def entries_of(client: httpx.AsyncClient, url: str) -> list[JSON]:
    """Return the whole log, as `logs` sends it."""
    response = await client.get(f"{url}/logs")
    assert response.status_code == 200, response.text
    return [orjson.loads(line) for line in response.text.splitlines()]


async def store_log(store: ObjectStore, run: Run, text: bytes) -> None:
    key = RunRef(run.project_id, run.task_id, run.id).log_key
    await store.put(key, text, content_type="application/jsonl", tags=LOG_TAGS)


async def test_what_a_refused_append_left_in_the_store_is_not_read(
    client: httpx.AsyncClient, url: str, run: Run, store: ObjectStore
) -> None:
    await append(client, url, {"n": 1})
    key, size = RunRef(run.project_id, run.task_id, run.id).log_key, len(b'{"n":1}\n')
    # The store had kept it when the answer was lost that would have said so.
    await store.extend(key, size, b'{"n":2}\n', content_type="application/jsonl", tags=LOG_TAGS)

    assert await entries_of(client, url) == [{"n": 1}]
    assert (await client.get(f"{url}/session_logs")).json() == [{"n": 1}]
    await append(client, url, {"n": 2})
    assert await entries_of(client, url) == [{"n": 1}, {"n": 2}]


class TestAnswerThatFails:
    @pytest.fixture
    async def object_store(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncGenerator[ObjectStore, None]:
        """A store of which the library signs no URL, since it refuses the public address."""
        secret = settings.s3_secret_access_key
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", settings.s3_access_key_id or "")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret.get_secret_value() if secret else "")
        keyless = {"s3_access_key_id": None, "s3_secret_access_key": None}
        refused = {"s3_public_endpoint_url": "https://files.example.com/?a=b"}
        async with ObjectStore(settings.model_copy(update=keyless | refused)) as store:
            with pytest.raises(ObjectStoreUnavailable):
                await store.urls.of("a")
            yield store

    async def test_append_has_added_nothing(self, client: httpx.AsyncClient, url: str) -> None:
        """Otherwise its caller sends the entries again, and they are doubled."""
        response = await client.post(f"{url}/append_log", json={"entries": [{"n": 1}]})
        assert response.status_code == 503
        assert await entries_of(client, url) == []


class TestAppend:
    async def test_answer_is_the_run_with_a_url_of_the_whole_log(
        self, client: httpx.AsyncClient, url: str, run: Run
    ) -> None:
        await append(client, url, {"n": 1}, {"n": 2})
        response = await append(client, url, {"n": 3})
        assert response.json()["id"] == str(run.id)
        assert response.headers["server-timing"].startswith("append;dur=")
        async with socket_client() as anybody:
            log = await anybody.get(response.json()["log_url"])
        assert log.text == '{"n":1}\n{"n":2}\n{"n":3}\n'
        assert log.headers["content-type"] == "application/jsonl"

    async def test_chunks_of_messages_are_dropped(self, client: httpx.AsyncClient, url: str) -> None:
        await append(client, url, update("agent_message_chunk"), update("agent_message"), {"type": "x"})
        assert await entries_of(client, url) == [update("agent_message"), {"type": "x"}]

    async def test_chunks_alone_change_nothing(self, client: httpx.AsyncClient, url: str) -> None:
        await append(client, url, update("agent_message_chunk"))
        assert await entries_of(client, url) == []

    async def test_log_that_was_there_before_is_continued(
        self, client: httpx.AsyncClient, url: str, run: Run, store: ObjectStore
    ) -> None:
        await store_log(store, run, b'{"old":1}\n')
        await append(client, url, {"new": 2})
        assert await entries_of(client, url) == [{"old": 1}, {"new": 2}]

    async def test_log_that_has_expired_begins_again(
        self, client: httpx.AsyncClient, url: str, run: Run, store: ObjectStore
    ) -> None:
        await append(client, url, {"n": 1})
        await store.delete([RunRef(run.project_id, run.task_id, run.id).log_key])
        await append(client, url, {"n": 2})
        await append(client, url, {"n": 3})
        assert await entries_of(client, url) == [{"n": 2}, {"n": 3}]

    async def test_large_log_grows_without_being_read(
        self, client: httpx.AsyncClient, url: str, run: Run, store: ObjectStore
    ) -> None:
        """Beyond the smallest part of an upload the store copies within itself."""
        line = b'{"x":"' + b"x" * 1014 + b'"}\n'
        await store_log(store, run, line * 6 * 1024)
        for n in range(3):
            await append(client, url, {"n": n})
        assert (await entries_of(client, url))[-4:] == [orjson.loads(line), {"n": 0}, {"n": 1}, {"n": 2}]
        info = await store.head(RunRef(run.project_id, run.task_id, run.id).log_key)
        assert info is not None
        assert info.size == 6 * 1024 * len(line) + 24

    async def test_bad_entries_change_nothing(self, client: httpx.AsyncClient, url: str) -> None:
        bodies: list[tuple[JSON, str, str, str | None]] = [
            ({}, "entries", "required", None),
            ({"entries": None}, "entries", "null", None),
            ({"entries": []}, "entries", "invalid_input", "At least one log entry is required"),
            ({"entries": {}}, "entries", "not_a_list", None),
            ({"entries": ["x"]}, "entries__0", "not_a_dict", None),
            ({"entries": [{}, {"a": "\x00"}]}, "entries__1", "null_characters_not_allowed", None),
        ]
        for body, attr, code, detail in bodies:
            with concerning(body):
                assert_invalid(await client.post(f"{url}/append_log", json=body), attr, code, detail)
        assert await entries_of(client, url) == []


class TestLogs:
    async def test_empty_log_is_an_empty_body(self, client: httpx.AsyncClient, url: str) -> None:
        response = await client.get(f"{url}/logs")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "application/jsonl"
        assert response.headers["cache-control"] == "no-cache"

    async def test_log_is_plain_text_for_those_who_take_nothing_else(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        await append(client, url, {"n": 1})
        for accept, answered in (
            ("text/plain", "text/plain; charset=utf-8"),
            ("application/json, text/plain, */*", "application/jsonl"),
            ("*/*", "application/jsonl"),
        ):
            response = await client.get(f"{url}/logs", headers={"Accept": accept})
            with concerning(accept):
                assert response.text == '{"n":1}\n'
                assert response.headers["content-type"] == answered
                assert response.headers["vary"] == "Accept, Authorization, Cookie"

    async def test_chain_is_read_oldest_first(
        self, client: httpx.AsyncClient, task_url: str, new_run: NewRun, store: ObjectStore
    ) -> None:
        oldest = await new_run()
        silent = await new_run(state={"resume_from_run_id": str(oldest.id)})
        newest = await new_run(state={"resume_from_run_id": str(silent.id)})
        # Without its last line end, as a writer that was cut off leaves it.
        await store_log(store, oldest, b'{"n":1}\n{"n":2}')
        await store_log(store, newest, b'{"n":3}\n')
        assert await entries_of(client, f"{task_url}/runs/{newest.id}") == [{"n": 1}, {"n": 2}, {"n": 3}]
        assert await entries_of(client, f"{task_url}/runs/{oldest.id}") == [{"n": 1}, {"n": 2}]

    async def test_chain_ends_after_ten_runs(
        self, client: httpx.AsyncClient, task_url: str, new_run: NewRun, store: ObjectStore
    ) -> None:
        chain = [await new_run()]
        for _ in range(11):
            chain.append(await new_run(state={"resume_from_run_id": str(chain[-1].id)}))
        for n, run in enumerate(chain):
            await store_log(store, run, b'{"n":%d}\n' % n)
        entries = await entries_of(client, f"{task_url}/runs/{chain[-1].id}")
        assert entries == [{"n": n} for n in range(2, 12)]

    async def test_log_ends_at_a_malformed_earlier_run(
        self, client: httpx.AsyncClient, url: str, run: Run, session: AsyncSession
    ) -> None:
        await append(client, url, {"n": 1})
        for resumed in (str(run.id), "no id", 7, None, {"a": 1}):
            run.state = {"resume_from_run_id": resumed}
            await session.flush()
            with concerning(resumed):
                assert await entries_of(client, url) == [{"n": 1}]

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient, task_url: str) -> None:
        assert_not_found(await client.get(f"{task_url}/runs/{new_id()}/logs"))


class TestSessionLogs:
    async def page(
        self, client: httpx.AsyncClient, url: str, **query: Any
    ) -> tuple[list[JSON], tuple[int, int, int, str]]:
        """Return the entries and the counts: total, matching, filtered, has more."""
        response = await client.get(f"{url}/session_logs", params=query)
        assert response.status_code == 200, response.text
        headers = response.headers
        assert headers["content-type"] == "application/json"
        assert headers["server-timing"].startswith("read;dur=")
        assert headers["cache-control"] == "no-cache"
        counts = (
            int(headers["x-total-count"]),
            int(headers["x-matching-count"]),
            int(headers["x-filtered-count"]),
            headers["x-has-more"],
        )
        return response.json(), counts

    async def test_page_of_an_empty_log_is_empty(self, client: httpx.AsyncClient, url: str) -> None:
        assert await self.page(client, url) == ([], (0, 0, 0, "false"))

    async def test_limit_and_offset_choose_the_page(self, client: httpx.AsyncClient, url: str) -> None:
        await append(client, url, *[event("a", second) for second in range(5)])
        pages: list[tuple[JSON, range, str]] = [
            ({}, range(5), "false"),
            ({"limit": 2}, range(2), "true"),
            ({"limit": 2, "offset": 2}, range(2, 4), "true"),
            ({"limit": 2, "offset": 4}, range(4, 5), "false"),
            ({"limit": 5}, range(5), "false"),
            ({"offset": 9}, range(0), "false"),
            ({"limit": "", "offset": "", "after": "", "event_types": ""}, range(5), "false"),
        ]
        for query, seconds, more in pages:
            entries, counts = await self.page(client, url, **query)
            with concerning(query):
                assert entries == [event("a", second) for second in seconds]
                assert counts == (5, 5, 5, more)

    async def test_filters_choose_entries_by_type_and_time(self, client: httpx.AsyncClient, url: str) -> None:
        """Contract 13.4: types are methods of notifications, or types where there is none."""
        named = {
            "a0": event("a", 0),
            "b1": event("b", 1),
            "plain": {"type": "plain", "timestamp": "2026-03-01T10:00:02Z"},
            "a3": event("a", 3),
        }
        await append(client, url, *named.values())
        for query, expected in (
            ({"event_types": "a"}, ["a0", "a3"]),
            ({"event_types": "a, plain"}, ["a0", "plain", "a3"]),
            ({"exclude_types": "a"}, ["b1", "plain"]),
            ({"event_types": "a,b", "exclude_types": "b"}, ["a0", "a3"]),
            ({"after": "2026-03-01T10:00:01Z"}, ["plain", "a3"]),
            ({"after": "2026-03-01T11:00:00.999+01:00"}, ["b1", "plain", "a3"]),
            ({"after": "2026-03-01T10:00:03"}, []),
            ({"event_types": "notification"}, []),
        ):
            entries, counts = await self.page(client, url, **query)
            with concerning(query):
                assert entries == [named[name] for name in expected]
                assert counts == (4, len(expected), len(expected), "false")

    async def test_entries_without_a_time_are_not_after_any(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        await append(client, url, {"type": "x"}, {"type": "x", "timestamp": 7}, event("a"))
        entries, _ = await self.page(client, url, after="2020-01-01")
        assert entries == [event("a")]

    async def test_lines_other_than_objects_do_not_count(
        self, client: httpx.AsyncClient, url: str, run: Run, store: ObjectStore
    ) -> None:
        await store_log(store, run, b'{"n":1}\n\n{"n":\n[1]\n  {"n":2}  \n{"n":3}')
        assert await self.page(client, url) == ([{"n": 1}, {"n": 2}, {"n": 3}], (3, 3, 3, "false"))

    async def test_page_of_large_entries_ends_early_and_the_next_goes_on(
        self, client: httpx.AsyncClient, url: str, run: Run, store: ObjectStore
    ) -> None:
        lines = [b'{"n":%d,"x":"%b"}\n' % (n, b"x" * 3 * 2**20) for n in range(8)]
        await store_log(store, run, b"".join(lines))
        read: list[int] = []
        more = "true"
        while more == "true":
            entries, (total, *_, more) = await self.page(client, url, offset=len(read))
            assert (0 < len(entries) < 8, total) == (True, 8)
            read += [entry["n"] for entry in entries]
        assert read == list(range(8))

    @pytest.mark.walls
    async def test_bad_query_names_the_wrong_parameter(self, client: httpx.AsyncClient, url: str) -> None:
        for name, value, code in (
            ("limit", 0, "min_value"),
            ("limit", 5001, "max_value"),
            ("limit", "x", "invalid_input"),
            ("offset", -1, "min_value"),
            ("after", "yesterday", "invalid_input"),
        ):
            response = await client.get(f"{url}/session_logs", params={name: value})
            with concerning(f"{name}: {value}"):
                assert_invalid(response, name, code)


class Watched(ObjectStore):
    """Notes which parts of objects are read."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.ranges: list[str | None] = []

    @override
    def open(self, key: str, *, byte_range: str | None = None, if_match: str | None = None) -> Any:
        self.ranges.append(byte_range)
        return super().open(key, byte_range=byte_range, if_match=if_match)


class TestLongLog:
    @pytest.fixture
    async def object_store(self, settings: Settings) -> AsyncGenerator[ObjectStore, None]:
        async with Watched(settings) as store:
            yield store

    async def test_next_page_is_not_looked_for_from_the_beginning(
        self, client: httpx.AsyncClient, url: str, object_store: Watched
    ) -> None:
        """Regression: each page read the whole log, so all pages of one read it as often as there are pages."""
        entries = [event("ab"[n % 2] * 1000, n % 60) | {"n": n} for n in range(3000)]
        await append(client, url, *entries)
        for query, expected in (({}, entries), ({"event_types": "b" * 1000}, entries[1::2])):
            object_store.ranges.clear()
            read: list[JSON] = []
            while len(read) < len(expected):
                page = await client.get(
                    f"{url}/session_logs", params={"limit": 300, "offset": len(read), **query}
                )
                counts = [page.headers[f"x-{name}-count"] for name in ("total", "matching")]
                assert counts == ["3000", str(len(expected))]
                read += page.json()
                assert page.headers["x-has-more"] == ("true" if len(read) < len(expected) else "false")
            starts = [
                int(part.removeprefix("bytes=").partition("-")[0]) for part in object_store.ranges if part
            ]
            with concerning(query):
                assert read == expected
                assert (starts[0], starts == sorted(starts)) == (0, True)
                assert starts[-1] > 2 * 2**20

        await append(client, url, {"n": 3000})
        last = await client.get(f"{url}/session_logs", params={"offset": 3000})
        assert (last.json(), last.headers["x-total-count"]) == ([{"n": 3000}], "3001")

    async def test_log_that_is_read_again_and_again_stays_known(
        self, client: httpx.AsyncClient, url: str, object_store: Watched
    ) -> None:
        """Regression: the first of 33 queries was forgotten, though it was the one in use."""
        await append(client, url, *[event("a" * 1000, n % 60) | {"n": n} for n in range(1500)])
        last = {"limit": 10, "offset": 1490}
        for n in range(32):
            await client.get(f"{url}/session_logs", params=last)
            await client.get(f"{url}/session_logs", params={"exclude_types": f"b{n}", "limit": 1})
        object_store.ranges.clear()

        page = await client.get(f"{url}/session_logs", params=last)

        assert [entry["n"] for entry in page.json()] == [*range(1490, 1500)]
        [part] = object_store.ranges
        assert part is not None
        assert int(part.removeprefix("bytes=").partition("-")[0]) >= 2**20

    async def test_page_of_a_log_that_the_store_has_shortened_is_what_is_left(
        self, client: httpx.AsyncClient, url: str, run: Run, store: ObjectStore
    ) -> None:
        """Regression: the page could not be read, since the place where it was known to begin was gone."""
        await append(client, url, *[event("a" * 1000) | {"n": n} for n in range(1500)])
        for text, left in ((None, 10), (b'{"n":0}\n', 0)):
            if text is not None:
                await store_log(store, run, text)
            page = await client.get(f"{url}/session_logs", params={"limit": 10, "offset": 1490})
            assert (page.status_code, len(page.json())) == (200, left)


class TestRelay:
    async def test_message_is_skipped_and_kept_on_the_log(self, client: httpx.AsyncClient, url: str) -> None:
        body = {"text": " Done. ", "text_parts": ["Do", "ne."], "message_id": "m1", "unknown": 1}
        response = await client.post(f"{url}/relay_message", json=body)
        assert (response.status_code, response.json()) == (200, {"status": "skipped"})
        [entry] = await entries_of(client, url)
        assert entry["notification"] == {
            "jsonrpc": "2.0",
            "method": "_taskbeacon/relay_message",
            "params": {"text": "Done.", "text_parts": ["Do", "ne."], "message_id": "m1"},
        }

    @pytest.mark.parametrize(
        ("body", "code"), [({}, "required"), ({"text": " "}, "blank"), ({"text": "x" * 10_001}, "max_length")]
    )
    async def test_relay_of_a_bad_text_is_refused(
        self, client: httpx.AsyncClient, url: str, body: JSON, code: str
    ) -> None:
        assert_invalid(await client.post(f"{url}/relay_message", json=body), "text", code)
