"""The error table of contract 2.4, row by row: a request for each code, and its answer."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.api_limits import BODY_BYTES
from app.db import create_engine, create_session_factory
from app.errors import AppError, InvalidInput
from app.models import Project
from app.runtime import ProcessContext
from app.security.secrets import new_api_key
from tests.support.assertions import assert_error
from tests.support.callers import CallerKind, Cast, bearer
from tests.support.database.faults import altered
from tests.support.deployment.processes import closed_port

_ROOT = Path(__file__).parents[3]
_CONTRACT = _ROOT / "docs/contract.md"
_TASKS = "/api/projects/{project}/tasks"
_UNKNOWN_KEY = bearer(new_api_key())


@dataclass(frozen=True, slots=True)
class Case:
    """A code of a row, and a request that yields it."""

    status: int
    type: str
    code: str
    detail: str | None
    attr: str | None = None
    method: str = "GET"
    path: str = _TASKS
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    caller: CallerKind = CallerKind.OWNER

    @override
    def __str__(self) -> str:
        return f"{self.status}-{self.code}"


_JSON = {"Content-Type": "application/json"}
_MISSING = "Authentication credentials were not provided."
_UNKNOWN = "Personal API key found in request Authorization header is invalid."
CASES = (
    Case(
        *(400, "validation_error", "invalid_choice", '"nowhere" is not a valid choice.', "origin_product"),
        method="POST",
        content=b'{"origin_product": "nowhere"}',
        headers=_JSON,
    ),
    Case(400, "invalid_request", "parse_error", None, method="POST", content=b"{", headers=_JSON),
    Case(
        *(401, "authentication_error", "not_authenticated", _MISSING),
        path="/api/users/@me",
        caller=CallerKind.ANONYMOUS,
    ),
    Case(403, "authentication_error", "not_authenticated", _MISSING, caller=CallerKind.ANONYMOUS),
    Case(
        *(401, "authentication_error", "authentication_failed", _UNKNOWN),
        path="/api/users/@me",
        headers=_UNKNOWN_KEY,
    ),
    Case(403, "authentication_error", "authentication_failed", _UNKNOWN, headers=_UNKNOWN_KEY),
    Case(
        *(403, "authentication_error", "permission_denied", "API key missing required scope 'task:write'"),
        method="POST",
        caller=CallerKind.READ_ONLY,
    ),
    Case(404, "invalid_request", "not_found", "Not found.", path=_TASKS + "/nothing"),
    Case(405, "invalid_request", "method_not_allowed", 'Method "PUT" not allowed.', method="PUT"),
    Case(
        *(413, "invalid_request", "request_too_large"),
        f"Request body exceeds the limit of {BODY_BYTES} bytes.",
        method="POST",
        content=b" " * (BODY_BYTES + 1),
        headers=_JSON,
    ),
    Case(
        *(415, "invalid_request", "unsupported_media_type"),
        'Unsupported media type "text/plain" in request.',
        method="POST",
        content=b"{}",
        headers={"Content-Type": "text/plain"},
    ),
    Case(429, "throttled_error", "throttled", None),
    Case(500, "server_error", "error", "A server error occurred."),
    Case(503, "server_error", "unavailable", None),
)
# Rows that need more than one request, or a connection of their own: where their answers are tested.
_ELSEWHERE = {
    (408, "invalid_request", "request_timeout"): "tests/cli/test_http_protocol.py",
    **{
        (400, "invalid_request", code): "tests/contract/console/test_terminals.py"
        for code in ("authorization_pending", "slow_down", "access_denied", "expired_token")
    },
    (409, "invalid_request", "idempotency_conflict"): "tests/contract/globals/test_idempotency.py",
    (409, "invalid_request", "ambiguous_reference"): "tests/contract/tasks/test_references.py",
    (409, "invalid_request", "already_answered"): "tests/contract/inbox/test_answer_acceptance.py",
    (409, "invalid_request", "question_changed"): "tests/contract/inbox/test_answer_acceptance.py",
    (409, "invalid_request", "version_conflict"): "tests/contract/artifacts/test_reviews.py",
    (410, "invalid_request", "question_closed"): "tests/contract/inbox/test_answer_acceptance.py",
    (431, "invalid_request", "request_head_too_large"): "tests/cli/test_http_protocol.py",
}
# Not answered: contract 11 #28.
NOT_ACCEPTABLE = (406, "invalid_request", "not_acceptable")


@asynccontextmanager
async def condition(
    case: Case, application: FastAPI, process: ProcessContext, engine: AsyncEngine
) -> AsyncIterator[None]:
    """Have the service be in the state in which a request yields the answer of the case."""
    match case.status:
        case 429:
            settings = process.settings.model_copy(update={"throttle_per_minute": 1})
            application.state.process = replace(process, settings=settings)
            yield
        case 500:
            undo = "ALTER TABLE gone RENAME TO tasks"
            async with altered(engine, "ALTER TABLE tasks RENAME TO gone", undo=undo):
                yield
        case 503:
            address = f"postgresql+asyncpg://user@127.0.0.1:{closed_port()}/nothing"
            settings = process.settings.model_copy(update={"database_url": address})
            away = create_engine(settings, application_name="taskbeacon-tests")
            application.state.process = replace(process, sessions=create_session_factory(away))
            yield
            await away.dispose()
        case _:
            yield


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_row_is_answered_in_the_envelope(
    case: Case,
    application: FastAPI,
    process: ProcessContext,
    engine: AsyncEngine,
    anonymous: httpx.AsyncClient,
    cast: Cast,
) -> None:
    """Contract 2.4."""
    url = case.path.format(project=cast.project.id)
    headers = {**cast.callers[case.caller].headers, **case.headers}

    async with condition(case, application, process, engine):
        if case.status == 429:
            assert (await anonymous.get(url, headers=headers)).status_code == 200
        answer = await anonymous.request(case.method, url, content=case.content, headers=headers)

    assert_error(answer, case.status, type=case.type, code=case.code, detail=case.detail, attr=case.attr)


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=1, */*;q=0", ""])
async def test_row_406_is_json_whatever_is_accepted(
    client: httpx.AsyncClient, project: Project, accept: str
) -> None:
    """Contract 2.4 and 11 #28."""
    found = await client.get(_TASKS.format(project=project.id), headers={"Accept": accept})
    missing = await client.get(f"{_TASKS.format(project=project.id)}/nothing", headers={"Accept": accept})

    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    assert_error(missing, 404, type="invalid_request", code="not_found", detail="Not found.")


def test_every_row_of_the_table_has_a_case() -> None:
    documented = documented_codes()
    covered = {(case.status, case.type, case.code) for case in CASES} | {NOT_ACCEPTABLE} | _ELSEWHERE.keys()

    # A credential without permission is always 403; the codes of fields are in a table of their own.
    assert documented - {(401, "authentication_error", "permission_denied")} == covered - {
        (400, "validation_error", "invalid_choice")
    }
    for (status, _, code), name in _ELSEWHERE.items():
        assert re.search(rf'\b{status},[^()]*"{code}"', (_ROOT / name).read_text()), (name, code)


def test_every_error_of_the_service_has_a_row() -> None:
    final = [error for error in subclasses(AppError) if not error.__subclasses__()]
    # Its code is that of the field's rule.
    declared = {(error.status, error.type, error.code) for error in final if error is not InvalidInput}

    assert declared - documented_codes() == set()
    assert len(declared) > 15


def subclasses(error: type[AppError]) -> Iterator[type[AppError]]:
    for each in error.__subclasses__():
        yield each
        yield from subclasses(each)


def documented_codes() -> set[tuple[int, str, str]]:
    """Return the statuses, types and codes in the table."""
    rows = re.findall(r"^\| ([0-9/]+) \| `(\w+)` \| (.+) \|$", _CONTRACT.read_text(), re.MULTILINE)
    documented: set[tuple[int, str, str]] = set()
    for statuses, kind, text in rows:
        codes = re.findall(r"`(\w+)`", text)
        documented |= {(int(status), kind, code) for status in statuses.split("/") for code in codes}
    return documented
