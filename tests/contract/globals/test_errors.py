"""Every failure has the same four keys (contract 2.4), and bad input never reaches the database (12)."""

import itertools
import logging
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Any, get_args, get_origin

import httpx
import orjson
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import create_engine, create_session_factory
from app.enums import OriginProduct
from app.models import Project, Run, Task, User
from app.runtime import ProcessContext
from app.schemas.fields import Field
from app.web.body import first_error
from app.web.openapi.document import describe_routes, reader_of
from tests.support.assertions import (
    assert_error,
    assert_invalid,
    assert_not_allowed,
    assert_not_found,
    assert_parse_error,
    concerning,
)
from tests.support.database.faults import altered
from tests.support.deployment.processes import closed_port
from tests.support.factories import make_task
from tests.support.web.routes import BODY_ROUTES, Route

JSON_TYPE = {"Content-Type": "application/json"}


async def test_unknown_route_is_not_found(client: httpx.AsyncClient) -> None:
    """Contract 2.1 and 12.12."""
    below = ("/api/environments/1/tasks", "/api/projects/1/nothing", "/api/projects/1/tasks//")
    for path in ("/nothing", "/%00", "/%FF", *below):
        with concerning(path):
            assert_not_found(await client.get(path))


async def test_unmapped_method_is_not_allowed(
    client: httpx.AsyncClient, tasks_url: str, task: Task, run: Run
) -> None:
    """Contract 2.1."""
    of_list, of_task = {"GET", "POST"}, {"GET", "PUT", "PATCH", "DELETE"}
    for method, path, allowed in (
        *((method, "", of_list) for method in ("PUT", "PATCH", "DELETE")),
        *((method, f"/{task.id}", of_task) for method in ("POST", "TRACE")),
        ("GET", f"/{task.id}/run", {"POST"}),
        ("PUT", f"/{task.id}/runs", {"GET"}),
        ("DELETE", f"/{task.id}/runs/{run.id}", {"GET"}),
    ):
        response = await client.request(method, tasks_url + path)
        with concerning(f"{method} {path}"):
            assert_not_allowed(response, method)
            assert allowed <= {name.strip() for name in response.headers["allow"].split(",")}
            assert method not in response.headers["allow"]


NO_JSON = (
    *(b"{", b'{"title": "x"} trailing', b"{'title': 'x'}", b" ", b"\xff\xfe", b'{"title": "\xff"}'),
    *(b'{"title": NaN}', b'{"title": Infinity}', b'{"title": -Infinity}'),
    # Lone surrogates (contract 12.15).
    *(b'{"title": "\\ud800"}', b'{"\\udfff": 1}'),
    # Nested too deeply (contract 12.16).
    b'{"json_schema": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"json_schema": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
    b"[" * 1_000_000,
)
NO_OBJECTS = (
    *(
        (body, "invalid_input", f"Invalid data. Expected a dictionary, but got {received}.")
        for body, received in (
            *((b"[]", "list"), (b'["title"]', "list"), (b'"title"', "str")),
            *((b"5", "int"), (b"5.5", "float"), (b"true", "bool")),
        )
    ),
    (b"null", "null", "No data provided"),
)
OTHER_TYPES = (
    *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
    *("application/xml", "application/jsonp"),
)
JSON_TYPES = ("application/json", "application/json; charset=utf-8", "Application/JSON")


class TestBody:
    """Bodies that are no object, on every route that takes one."""

    async def send(
        self, client: httpx.AsyncClient, route: Route, task: Task, body: bytes, content_type: str | None
    ) -> httpx.Response:
        url = route.url(project=task.project_id, task=task.id)
        headers = {"Content-Type": content_type} if content_type else {}
        return await client.request(route.method, url, content=body, headers=headers)

    async def test_body_other_than_json_is_a_parse_error(self, client: httpx.AsyncClient, task: Task) -> None:
        for route, body in itertools.product(BODY_ROUTES, NO_JSON):
            with concerning(f"{route}: {body[:40]!r}"):
                assert_parse_error(await self.send(client, route, task, body, "application/json"))

    async def test_json_that_is_no_object_is_refused(self, client: httpx.AsyncClient, task: Task) -> None:
        for route, (body, code, detail) in itertools.product(BODY_ROUTES, NO_OBJECTS):
            response = await self.send(client, route, task, body, "application/json")
            with concerning(f"{route}: {body!r}"):
                assert_invalid(response, None, code, detail)

    async def test_other_media_types_are_unsupported(self, client: httpx.AsyncClient, task: Task) -> None:
        for route, content_type in itertools.product(BODY_ROUTES, OTHER_TYPES):
            response = await self.send(client, route, task, b'{"title": "x"}', content_type)
            detail = f'Unsupported media type "{content_type}" in request.'
            with concerning(route):
                assert_error(
                    response, 415, type="invalid_request", code="unsupported_media_type", detail=detail
                )

    async def test_json_is_taken_under_its_usual_names(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User
    ) -> None:
        for route, content_type in itertools.product(BODY_ROUTES, JSON_TYPES):
            task = await make_task(session, project=project, created_by=owner)
            response = await self.send(client, route, task, orjson.dumps(route.body), content_type)
            with concerning(f"{route}: {content_type}"):
                assert response.status_code == route.status

    async def test_empty_body_is_an_empty_object(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User
    ) -> None:
        """The mobile application starts runs like this. The needy ones have a field that is required."""
        needy = ("/summaries", "/bulk", "/pin", "/mark_read", "/sandbox_environments", "/webhook_endpoints")
        routes = [route for route in BODY_ROUTES if not route.path.endswith(needy)]
        for route, content_type in itertools.product(routes, ("application/json", None, "text/plain")):
            task = await make_task(session, project=project, created_by=owner)
            response = await self.send(client, route, task, b"", content_type)
            with concerning(f"{route}: {content_type}"):
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

    async def test_gates_refuse_before_the_body_limit(
        self, anonymous: httpx.AsyncClient, tasks_url: str
    ) -> None:
        response = await anonymous.post(tasks_url, content=in_chunks(21 * MEGABYTE), headers=JSON_TYPE)
        assert response.json()["code"] == "not_authenticated"


def assert_nul(response: httpx.Response, attr: str) -> None:
    assert_invalid(response, attr, "null_characters_not_allowed", "Null characters are not allowed.")


class TestNul:
    """PostgreSQL keeps no NUL, so it is refused wherever it comes in (contract 12.12)."""

    async def test_in_text_and_json_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, task_url: str
    ) -> None:
        values: list[tuple[str, Any]] = [
            *itertools.product(
                ("title", "description", "repository", "ci_prompt"), ("\x00", "a\x00b", "org/a\x00")
            ),
            *itertools.product(
                ("json_schema",), ("\x00", {"a": "\x00"}, {"\x00": 1}, [[["\x00"]]], {"a": [{"b": "x\x00"}]})
            ),
        ]
        for (field, value), (method, url) in itertools.product(
            values, (("POST", tasks_url), ("PATCH", task_url))
        ):
            with concerning(f"{method} {field}: {value!r}"):
                assert_nul(await client.request(method, url, json={field: value}), field)

    async def test_in_run_options_is_refused(self, client: httpx.AsyncClient, run_url: str) -> None:
        for field in ("branch", "pending_user_message", "signal_report_id", "model", "github_user_token"):
            with concerning(field):
                assert_nul(await client.post(run_url, json={field: "a\x00b"}), field)
        items = {"pending_user_artifact_ids": ["fine", "a\x00b"]}
        assert_nul(await client.post(run_url, json=items), "pending_user_artifact_ids__1")

    async def test_in_a_query_is_refused_unless_it_is_lenient(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        for name in ("search", "organization", "repository", "origin_product", "stage"):
            with concerning(name):
                assert_nul(await client.get(tasks_url, params={name: "a\x00b"}), name)
        for name in ("archived", "created_by", "internal", "status"):
            response = await client.get(tasks_url, params={name: "\x00"})
            with concerning(name):
                assert (response.status_code, response.json()["attr"]) == (400, name)
        for name in ("limit", "offset", "unknown", "\x00"):
            with concerning(name):
                assert (await client.get(tasks_url, params={name: "\x00"})).status_code == 200

    async def test_in_a_choice_is_no_choice(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        for value in ("\x00", "user\x00created"):
            response = await client.post(tasks_url, json={"origin_product": value})
            assert_invalid(response, "origin_product", "invalid_choice", f'"{value}" is not a valid choice.')


async def test_id_that_names_no_task_or_run_is_not_found(
    client: httpx.AsyncClient, tasks_url: str, task_url: str
) -> None:
    """Contract 2.1 and 12.12."""
    unknown = "00000000-0000-4000-8000-000000000000"
    lengths = (unknown[:-1], unknown + "0", "g" + unknown[1:], "x" * 5000)
    requests = [("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/runs")]
    for name in ("abc", "1", unknown, "null", "%20", "a%00b", *lengths):
        for method, suffix in (*requests, ("GET", "/runs/x")):
            with concerning(f"{method} {name}{suffix}"):
                assert_not_found(await client.request(method, f"{tasks_url}/{name}{suffix}"))
        with concerning(f"run {name}"):
            assert_not_found(await client.get(f"{task_url}/runs/{name}"))


async def test_number_beyond_the_column_is_refused(client: httpx.AsyncClient, tasks_url: str) -> None:
    """Contract 12.13."""
    for value in (str(10**25), f'"{10**25}"', "-1", str(2**63), "1e300"):
        body = f'{{"github_integration": {value}}}'
        response = await client.post(tasks_url, content=body, headers=JSON_TYPE)
        with concerning(value):
            assert_invalid(response, "github_integration", "does_not_exist")


async def test_huge_number_in_the_query_finds_nothing(
    client: httpx.AsyncClient, tasks_url: str, task: Task
) -> None:
    """Contract 12.13."""
    assert task.task_number == 0
    for name, value in (
        *(("created_by", "9" * 20), ("created_by", "-" + "9" * 20)),
        *(("offset", "9" * 20), ("offset", "9" * 100)),
        *(("search", "TES-" + "9" * 20), ("search", "9" * 5000)),
    ):
        response = await client.get(tasks_url, params={name: value})
        with concerning(name):
            assert response.status_code == 200
            assert response.json()["results"] == []


class TestUnexpected:
    """Faults, and servers that are away."""

    async def test_unexpected_error_shows_no_details(
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
        address = f"postgresql+asyncpg://user@127.0.0.1:{closed_port()}/nothing"
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


async def test_first_wrong_field_in_declared_order_is_reported(
    client: httpx.AsyncClient, tasks_url: str, task_url: str
) -> None:
    """The order of the body's fields does not matter (contract 2.4)."""
    for first, (field, _) in enumerate(FIELD_ORDER):
        wrong = dict(reversed(FIELD_ORDER[first:]))
        for response in (await client.post(tasks_url, json=wrong), await client.patch(task_url, json=wrong)):
            with concerning(field):
                assert (response.status_code, response.json()["attr"]) == (400, field)


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


# Not even a text, in a list of lists: no field of an object takes it.
WRONG: Any = [[None]]


def fields_within(model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each field of each object in a body, as errors name it, and a body in which it is wrong."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation]
        for kind in kinds:
            kinds += get_args(kind)
        objects = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        inner = {each: WRONG for kind in objects for each in kind.model_fields}
        for rule in field.metadata:
            # A field that takes an object by itself reports the first error alone.
            if isinstance(rule, Field):
                inner |= {
                    each: described.get("example")
                    for each, described in rule.json_schema().get("properties", {}).items()
                }
        for each in inner:
            value = inner | {each: WRONG}
            is_list = list in map(get_origin, kinds)
            yield (
                f"{name}__0__{each}" if is_list else f"{name}__{each}",
                {name: [value] if is_list else value},
            )


def test_error_within_an_object_names_the_field(shared_application: FastAPI) -> None:
    """Keys are joined by `__` (contract 2.4), in the bodies of all routes."""
    models = {reader.model for route in describe_routes(shared_application) if (reader := reader_of(route))}
    checked = set()
    for model in models:
        for attr, body in fields_within(model):
            checked.add(attr)
            with concerning(f"{model.__name__}: {attr}"), pytest.raises(ValidationError) as refused:
                model.model_validate(body)
            named = {str(first_error([error]).attr) for error in refused.value.errors(include_url=False)}
            # Of a list, the item is named too.
            assert any(f"{name}__".startswith(f"{attr}__") for name in named), (model, attr)
    assert {"quiet_hours__timezone", "task_filter__repository", "artifacts__0__size"} <= checked
