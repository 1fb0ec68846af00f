"""Every failure has the same four keys (contract 2.4), and bad input never reaches the database (12)."""

import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import create_engine, create_session_factory
from app.enums import OriginProduct
from app.models import Run, Task
from app.runtime import ProcessContext
from tests.support.assertions import (
    assert_error,
    assert_invalid,
    assert_not_found,
    assert_parse_error,
    concerning,
)
from tests.support.faults import altered
from tests.support.processes import free_port
from tests.support.routes import BODY_ROUTES, Route

JSON_TYPE = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/nothing", id="2.4-unknown"),
        pytest.param("/api/environments/1/tasks", id="2.1-environments-are-not-routed"),
        pytest.param("/api/projects/1/nothing", id="2.4-below-a-project"),
        pytest.param("/%00", id="12.12-nul"),
        pytest.param("/%FF", id="2.4-not-utf-8"),
        pytest.param("/api/projects/1/tasks//", id="2.1-two-slashes"),
    ],
)
async def test_unknown_route_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert_not_found(await client.get(path))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        pytest.param("PUT", "", {"GET", "POST"}, id="2.1-put-on-the-list"),
        pytest.param("PATCH", "", {"GET", "POST"}, id="2.1-patch-on-the-list"),
        pytest.param("DELETE", "", {"GET", "POST"}, id="2.1-delete-on-the-list"),
        pytest.param("POST", "/{task}", {"GET", "PUT", "PATCH", "DELETE"}, id="2.1-post-on-a-task"),
        pytest.param("GET", "/{task}/run", {"POST"}, id="2.1-get-on-run"),
        pytest.param("PUT", "/{task}/runs", {"GET"}, id="2.1-put-on-runs"),
        pytest.param("DELETE", "/{task}/runs/{run}", {"GET"}, id="2.1-delete-on-a-run"),
        pytest.param("TRACE", "/{task}", {"GET", "PUT", "PATCH", "DELETE"}, id="2.1-trace"),
    ],
)
async def test_unmapped_method_is_not_allowed(
    client: httpx.AsyncClient, tasks_url: str, task: Task, run: Run, method: str, path: str, allowed: set[str]
) -> None:
    response = await client.request(method, tasks_url + path.format(task=task.id, run=run.id))
    assert_error(
        response,
        405,
        type="invalid_request",
        code="method_not_allowed",
        detail=f'Method "{method}" not allowed.',
    )
    assert allowed <= {name.strip() for name in response.headers["allow"].split(",")}
    assert method not in response.headers["allow"]


class TestBody:
    """Bodies that are no object, on every route that takes one."""

    async def send(
        self, client: httpx.AsyncClient, route: Route, task: Task, body: bytes, content_type: str
    ) -> httpx.Response:
        url = route.url(project=task.project_id, task=task.id)
        return await client.request(route.method, url, content=body, headers={"Content-Type": content_type})

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"{", id="2.4-broken"),
            pytest.param(b'{"title": "x"} trailing', id="2.4-trailing"),
            pytest.param(b"{'title': 'x'}", id="2.4-single-quotes"),
            pytest.param(b" ", id="2.4-blank"),
            pytest.param(b"\xff\xfe", id="2.4-not-utf-8"),
            pytest.param(b'{"title": "\xff"}', id="2.4-not-utf-8-inside"),
            pytest.param(b'{"title": NaN}', id="12.16-nan"),
            pytest.param(b'{"title": Infinity}', id="12.16-infinity"),
            pytest.param(b'{"title": -Infinity}', id="12.16-negative-infinity"),
            pytest.param(b'{"title": "\\ud800"}', id="12.15-lone-surrogate"),
            pytest.param(b'{"\\udfff": 1}', id="12.15-lone-surrogate-in-a-key"),
            pytest.param(b'{"json_schema": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="12.16-deep-list"),
            pytest.param(
                b'{"json_schema": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}", id="12.16-deep-object"
            ),
            pytest.param(b"[" * 1_000_000, id="12.16-deep-and-unclosed"),
        ],
    )
    async def test_what_is_no_json_is_a_parse_error(
        self, client: httpx.AsyncClient, task: Task, body: bytes
    ) -> None:
        for route in BODY_ROUTES:
            with concerning(route):
                assert_parse_error(await self.send(client, route, task, body, "application/json"))

    @pytest.mark.parametrize(
        ("body", "received"),
        [
            pytest.param(b"[]", "list", id="2.4-list"),
            pytest.param(b'["title"]', "list", id="2.4-list-of-names"),
            pytest.param(b'"title"', "str", id="2.4-string"),
            pytest.param(b"5", "int", id="2.4-number"),
            pytest.param(b"5.5", "float", id="2.4-fraction"),
            pytest.param(b"true", "bool", id="2.4-boolean"),
        ],
    )
    async def test_json_that_is_no_object_is_refused(
        self, client: httpx.AsyncClient, task: Task, body: bytes, received: str
    ) -> None:
        detail = f"Invalid data. Expected a dictionary, but got {received}."
        for route in BODY_ROUTES:
            response = await self.send(client, route, task, body, "application/json")
            with concerning(route):
                assert_invalid(response, None, "invalid_input", detail)

    async def test_null_is_no_data(self, client: httpx.AsyncClient, task: Task) -> None:
        for route in BODY_ROUTES:
            response = await self.send(client, route, task, b"null", "application/json")
            with concerning(route):
                assert_invalid(response, None, "null", "No data provided")

    @pytest.mark.parametrize(
        "content_type",
        [
            pytest.param("text/plain", id="2.5-text"),
            pytest.param("application/x-www-form-urlencoded", id="2.5-form"),
            pytest.param("multipart/form-data; boundary=x", id="2.5-multipart"),
            pytest.param("application/xml", id="2.5-xml"),
            pytest.param("application/jsonp", id="2.5-almost"),
        ],
    )
    async def test_other_media_types_are_unsupported(
        self, client: httpx.AsyncClient, task: Task, content_type: str
    ) -> None:
        for route in BODY_ROUTES:
            response = await self.send(client, route, task, b'{"title": "x"}', content_type)
            with concerning(route):
                assert_error(
                    response,
                    415,
                    type="invalid_request",
                    code="unsupported_media_type",
                    detail=f'Unsupported media type "{content_type}" in request.',
                )

    @pytest.mark.parametrize(
        "content_type",
        [
            pytest.param("application/json", id="2.5-json"),
            pytest.param("application/json; charset=utf-8", id="2.5-charset"),
            pytest.param("Application/JSON", id="2.5-any-case"),
        ],
    )
    @pytest.mark.parametrize("route", BODY_ROUTES, ids=str)
    async def test_json_is_taken_under_its_usual_names(
        self, client: httpx.AsyncClient, route: Route, task: Task, content_type: str
    ) -> None:
        response = await self.send(client, route, task, orjson.dumps(route.body), content_type)
        assert response.status_code == route.status


# Summaries need their ids and environments their name; every other body may be left out.
OPTIONAL_BODY_ROUTES = [
    route for route in BODY_ROUTES if not route.path.endswith(("/summaries", "/sandbox_environments"))
]


@pytest.mark.parametrize("route", OPTIONAL_BODY_ROUTES, ids=str)
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(JSON_TYPE, id="2.5-json"),
        pytest.param({}, id="2.5-no-type"),
        pytest.param({"Content-Type": "text/plain"}, id="2.5-other-type"),
    ],
)
async def test_empty_body_is_an_empty_object(
    client: httpx.AsyncClient, task: Task, route: Route, headers: dict[str, str]
) -> None:
    """The mobile application starts runs like this."""
    url = route.url(project=task.project_id, task=task.id)
    response = await client.request(route.method, url, content=b"", headers=headers)
    assert response.status_code == route.status


async def test_empty_summaries_body_lacks_its_ids(client: httpx.AsyncClient, tasks_url: str) -> None:
    response = await client.post(f"{tasks_url}/summaries", content=b"", headers=JSON_TYPE)
    assert_invalid(response, "ids", "required", "This field is required.")


async def test_accept_header_is_not_looked_at(client: httpx.AsyncClient, task_url: str) -> None:
    """Contract 11 #28."""
    response = await client.get(task_url, headers={"Accept": "text/html"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"


MEGABYTE = 1024 * 1024


async def in_chunks(size: int) -> AsyncGenerator[bytes, None]:
    """A body without a Content-Length, so that only counting reveals its size."""
    yield b'{"description": "'
    for _ in range(size // MEGABYTE):
        yield b"x" * MEGABYTE
    yield b'"}'


class TestBodyLimit:
    """20 MB (contract 2.5)."""

    @pytest.mark.parametrize("route", BODY_ROUTES, ids=str)
    async def test_larger_body_is_refused_in_the_envelope(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, route: Route
    ) -> None:
        count = select(func.count(Task.id))
        before = await session.scalar(count)
        url = route.url(project=task.project_id, task=task.id)
        body = in_chunks(20 * MEGABYTE)
        response = await client.request(route.method, url, content=body, headers=JSON_TYPE)
        assert_error(response, 413, type="invalid_request", code="request_too_large", detail=None)
        assert await session.scalar(count) == before

    async def test_body_just_below_is_taken(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        body = in_chunks(19 * MEGABYTE)
        response = await client.post(tasks_url, content=body, headers=JSON_TYPE)
        assert response.status_code == 201
        assert len(response.json()["description"]) == 19 * MEGABYTE

    async def test_gates_come_first(self, anonymous: httpx.AsyncClient, tasks_url: str) -> None:
        response = await anonymous.post(tasks_url, content=in_chunks(21 * MEGABYTE), headers=JSON_TYPE)
        assert response.json()["code"] == "not_authenticated"


NUL_DETAIL = "Null characters are not allowed."


class TestNul:
    """PostgreSQL keeps no NUL, so it is refused wherever it comes in (contract 12.12)."""

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    @pytest.mark.parametrize("field", ["title", "description", "repository", "ci_prompt"])
    @pytest.mark.parametrize("value", ["\x00", "a\x00b", "org/a\x00"])
    async def test_in_text_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, task_url: str, method: str, field: str, value: str
    ) -> None:
        url = tasks_url if method == "POST" else task_url
        response = await client.request(method, url, json={field: value})
        assert_invalid(response, field, "null_characters_not_allowed", NUL_DETAIL)

    @pytest.mark.parametrize(
        "schema", ["\x00", {"a": "\x00"}, {"\x00": 1}, [[["\x00"]]], {"a": [{"b": "x\x00"}]}]
    )
    async def test_anywhere_in_json_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, schema: Any
    ) -> None:
        response = await client.post(tasks_url, json={"json_schema": schema})
        assert_invalid(response, "json_schema", "null_characters_not_allowed", NUL_DETAIL)

    @pytest.mark.parametrize(
        "field",
        ["branch", "pending_user_message", "signal_report_id", "model", "github_user_token"],
    )
    async def test_in_run_options_is_refused(
        self, client: httpx.AsyncClient, task_url: str, field: str
    ) -> None:
        response = await client.post(f"{task_url}/run", json={field: "a\x00b"})
        assert_invalid(response, field, "null_characters_not_allowed", NUL_DETAIL)

    async def test_in_a_list_names_the_item(self, client: httpx.AsyncClient, task_url: str) -> None:
        body = {"pending_user_artifact_ids": ["fine", "a\x00b"]}
        response = await client.post(f"{task_url}/run", json=body)
        assert_invalid(response, "pending_user_artifact_ids__1", "null_characters_not_allowed", NUL_DETAIL)

    @pytest.mark.parametrize("name", ["search", "organization", "repository", "origin_product", "stage"])
    async def test_in_a_text_filter_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, name: str
    ) -> None:
        response = await client.get(tasks_url, params={name: "a\x00b"})
        assert_invalid(response, name, "null_characters_not_allowed", NUL_DETAIL)

    @pytest.mark.parametrize("name", ["archived", "created_by", "internal", "status"])
    async def test_in_another_filter_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, name: str
    ) -> None:
        response = await client.get(tasks_url, params={name: "\x00"})
        assert response.status_code == 400
        assert response.json()["attr"] == name

    @pytest.mark.parametrize("name", ["limit", "offset", "unknown", "\x00"])
    async def test_in_a_lenient_parameter_does_no_harm(
        self, client: httpx.AsyncClient, tasks_url: str, name: str
    ) -> None:
        assert (await client.get(tasks_url, params={name: "\x00"})).status_code == 200

    @pytest.mark.parametrize("suffix", ["", "/runs", "/runs/x"])
    async def test_in_a_path_is_not_found(
        self, client: httpx.AsyncClient, tasks_url: str, suffix: str
    ) -> None:
        assert_not_found(await client.get(f"{tasks_url}/a%00b{suffix}"))

    @pytest.mark.parametrize("value", ["\x00", "user\x00created"])
    async def test_in_a_choice_is_no_choice(
        self, client: httpx.AsyncClient, tasks_url: str, value: str
    ) -> None:
        response = await client.post(tasks_url, json={"origin_product": value})
        assert_invalid(response, "origin_product", "invalid_choice", f'"{value}" is not a valid choice.')


@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param("abc", id="2.1-word"),
        pytest.param("1", id="2.1-number"),
        pytest.param("00000000-0000-4000-8000-00000000000", id="2.1-too-short"),
        pytest.param("00000000-0000-4000-8000-0000000000000", id="2.1-too-long"),
        pytest.param("g0000000-0000-4000-8000-000000000000", id="2.1-not-hexadecimal"),
        pytest.param("00000000-0000-4000-8000-000000000000", id="2.1-unknown"),
        pytest.param("null", id="2.1-null"),
        pytest.param("%20", id="2.1-blank"),
        pytest.param("x" * 5000, id="2.1-long"),
    ],
)
@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/runs")],
)
async def test_id_that_names_no_task_is_not_found(
    client: httpx.AsyncClient, tasks_url: str, method: str, suffix: str, identifier: str
) -> None:
    assert_not_found(await client.request(method, f"{tasks_url}/{identifier}{suffix}"))


@pytest.mark.parametrize("identifier", ["abc", "a%00b", "00000000-0000-4000-8000-000000000000"])
async def test_id_that_names_no_run_is_not_found(
    client: httpx.AsyncClient, task_url: str, identifier: str
) -> None:
    assert_not_found(await client.get(f"{task_url}/runs/{identifier}"))


BIG = 10**25


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        pytest.param("github_integration", BIG, "does_not_exist", id="12.13-integration"),
        pytest.param("github_integration", str(BIG), "does_not_exist", id="12.13-integration-as-text"),
        pytest.param("github_integration", -1, "does_not_exist", id="12.13-negative"),
        pytest.param("github_integration", 2**63, "does_not_exist", id="12.13-just-beyond-bigint"),
        pytest.param("github_integration", 1e300, "does_not_exist", id="12.13-float"),
    ],
)
async def test_number_beyond_the_column_is_refused(
    client: httpx.AsyncClient, tasks_url: str, field: str, value: Any, code: str
) -> None:
    body = f'{{"{field}": {value if not isinstance(value, str) else orjson.dumps(value).decode()}}}'
    response = await client.post(tasks_url, content=body, headers=JSON_TYPE)
    assert_invalid(response, field, code)


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"created_by": "99999999999999999999"}, id="12.13-created-by"),
        pytest.param({"created_by": "-99999999999999999999"}, id="12.13-created-by-negative"),
        pytest.param({"offset": "99999999999999999999"}, id="12.13-offset"),
        pytest.param({"offset": "9" * 100}, id="12.13-offset-of-a-hundred-digits"),
        pytest.param({"search": "TES-99999999999999999999"}, id="12.13-search"),
        pytest.param({"search": "9" * 5000}, id="12.13-search-of-five-thousand-digits"),
    ],
)
async def test_huge_number_in_the_query_finds_nothing(
    client: httpx.AsyncClient, tasks_url: str, task: Task, params: dict[str, str]
) -> None:
    assert task.task_number == 0
    response = await client.get(tasks_url, params=params)
    assert response.status_code == 200
    assert response.json()["results"] == []


class TestUnexpected:
    """What nobody foresaw, and servers that are away."""

    async def test_unexpected_error_tells_no_details(
        self,
        client: httpx.AsyncClient,
        engine: AsyncEngine,
        tasks_url: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.ERROR, logger="app")
        gone = altered(engine, "ALTER TABLE tasks RENAME TO gone", undo="ALTER TABLE gone RENAME TO tasks")
        async with gone:
            response = await client.get(tasks_url, headers={"X-Request-Id": "planted-failure"})
        assert_error(response, 500, type="server_error", code="error", detail="A server error occurred.")
        assert response.headers["x-request-id"] == "planted-failure"
        logged = [record.getMessage() for record in caplog.records]
        assert len(logged) == 1
        assert '"request_id": "planted-failure"' in logged[0]
        assert "UndefinedTableError" in logged[0]

    async def test_database_that_is_away_is_unavailable(
        self, application: FastAPI, process: ProcessContext, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        address = f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/nothing"
        away = process.settings.model_copy(update={"database_url": address})
        engine = create_engine(away, application_name="taskbeacon-tests")
        application.state.process = replace(process, sessions=create_session_factory(engine))
        response = await client.get(tasks_url)
        assert_error(response, 503, type="server_error", code="unavailable", detail=None)
        assert "127.0.0.1" not in response.text
        await engine.dispose()


FIELD_ORDER: list[tuple[str, Any]] = [
    ("title", []),
    ("title_manually_set", "maybe"),
    ("description", []),
    ("origin_product", "nowhere"),
    ("repository", "no-slash"),
    ("github_integration", "x"),
    ("github_user_integration", "x"),
    ("signal_report", "x"),
    ("signal_report_task_relationship", "x"),
    ("json_schema", "\x00"),
    ("internal", "maybe"),
    ("archived", "maybe"),
    ("ci_prompt", []),
]


@pytest.mark.parametrize("first", range(len(FIELD_ORDER)), ids=[f"2.4-{name}" for name, _ in FIELD_ORDER])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_first_wrong_field_in_declared_order_is_reported(
    client: httpx.AsyncClient, tasks_url: str, task_url: str, method: str, first: int
) -> None:
    """Whatever their order in the body."""
    wrong = dict(reversed(FIELD_ORDER[first:]))
    response = await client.request(method, tasks_url if method == "POST" else task_url, json=wrong)
    assert response.status_code == 400
    assert response.json()["attr"] == FIELD_ORDER[first][0]


async def test_rules_that_join_fields_wait_for_every_field(client: httpx.AsyncClient, tasks_url: str) -> None:
    """Contract 2.4: the relationship lacks its report, but `archived` is wrong by itself."""
    body = {"signal_report_task_relationship": "implementation", "archived": "maybe"}
    assert_invalid(await client.post(tasks_url, json=body), "archived", "invalid_input")


async def test_existence_is_part_of_a_fields_own_check(client: httpx.AsyncClient, tasks_url: str) -> None:
    """Contract 2.4: an integration that does not exist is reported before a later field that is no boolean."""
    body = {"github_integration": 999_999_999, "archived": "maybe"}
    assert_invalid(await client.post(tasks_url, json=body), "github_integration", "does_not_exist")


async def test_refused_body_changes_nothing(
    client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, task: Task, task_url: str
) -> None:
    await client.post(tasks_url, json={"title": "kept out", "archived": "maybe"})
    await client.patch(task_url, json={"title": "kept out", "archived": "maybe"})
    titles = await session.scalars(select(Task.title).where(Task.project_id == task.project_id))
    assert titles.all() == [task.title]


async def test_reserved_origin_is_refused(client: httpx.AsyncClient, tasks_url: str) -> None:
    response = await client.post(tasks_url, json={"origin_product": OriginProduct.IMAGE_BUILDER})
    assert_invalid(
        response,
        "origin_product",
        "invalid_input",
        "origin_product 'image_builder' is reserved for image-builder sessions",
    )
