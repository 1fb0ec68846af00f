"""Hostile input about a run: the service answers as it is described, and never with a server error.

Bodies are what each endpoint takes, with one part replaced; so they come further than any noise would.
"""

import json
from copy import deepcopy
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import RunStatus
from app.models import Run, Task
from tests.support.factories import make_run
from tests.support.web.conformance import Description
from tests.support.web.routes import GATED_TASK_ROUTES, Route

pytestmark = pytest.mark.slow
BODIES = [
    route
    for route in GATED_TASK_ROUTES
    if route.body is not None and ("{run}" in route.path or route.path.endswith(("/run", "/runs")))
]
# More of what these take than the one body of the route shows.
FULL: dict[str, dict[str, Any]] = {
    "/run": {
        "mode": "interactive",
        "branch": "main",
        "pending_user_message": "go",
        "pending_user_artifact_ids": ["1"],
        "runtime_adapter": "claude",
        "model": "claude-opus-4-6",
        "reasoning_effort": "high",
        "initial_permission_mode": "plan",
        "github_user_token": "ghu_1",
        "pr_authorship_mode": "bot",
        "run_source": "manual",
        "signal_report_id": "1",
        "resume_from_run_id": "11111111-1111-4111-8111-111111111111",
        "sandbox_environment_id": "11111111-1111-4111-8111-111111111111",
    },
    "/runs/{run}": {
        "status": "in_progress",
        "stage": "build",
        "branch": "main",
        "error_message": "none",
        "output": {"a": 1},
        "state": {"resume_from_run_id": "1", "pending_user_message": "go", "model": "m"},
        "state_remove_keys": ["a"],
    },
    "/command": {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "user_message",
        "params": {"content": [{"type": "text", "text": "hi"}], "artifact_ids": ["1"]},
    },
}
ODD: list[Any] = [
    2**63,
    -(2**63) - 1,
    10**400,
    1e308,
    -0.0,
    "\x00",
    "\ud800",
    "9" * 400,
    "",
    " ",
    [],
    {},
    [[]],
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
JUNK = st.sampled_from(ODD) | st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
PROPERTY = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def description(shared_application: FastAPI) -> Description:
    return Description(shared_application)


def body_of(route: Route) -> Any:
    return next((body for end, body in FULL.items() if route.path.endswith(end)), route.body)


@st.composite
def damaged(draw: st.DrawFn, body: Any) -> Any:
    """Draw a body with one part replaced, at any depth; or something else altogether."""
    if not isinstance(body, dict | list) or not body or draw(st.integers(0, 4)) == 0:
        return draw(JUNK)
    body = deepcopy(body)
    key = draw(st.sampled_from(list(body) if isinstance(body, dict) else range(len(body))))
    body[key] = draw(damaged(body[key]))
    return body


@pytest.mark.parametrize("route", BODIES, ids=lambda route: f"6.4-{route}")
@PROPERTY
@given(data=st.data())
async def test_damaged_body_is_answered_as_described(
    client: httpx.AsyncClient,
    session: AsyncSession,
    task: Task,
    task_url: str,
    description: Description,
    route: Route,
    data: st.DataObject,
) -> None:
    # What the body before did to its run is not in the way of this one.
    run = (await make_run(session, task=task, status=RunStatus.NOT_STARTED)).id
    url = route.url(project=task.project_id, task=task.id, run=run)
    content = json.dumps(data.draw(damaged(body_of(route)))).encode()

    response = await client.request(
        route.method, url, content=content, headers={"Content-Type": "application/json"}
    )

    assert response.status_code < 500, response.text
    description.check(response)
    # Whatever was taken can be read.
    for path in ("", "/logs", "/session_logs") if response.is_success else ():
        assert (await client.get(f"{task_url}/runs/{run}{path}")).status_code == 200


@pytest.mark.parametrize(
    ("path", "names"),
    [
        pytest.param(
            "/session_logs",
            ("after", "event_types", "exclude_types", "limit", "offset"),
            id="6.4-session-logs",
        ),
        pytest.param("/artifacts/download", ("storage_path",), id="6.4-download"),
        pytest.param("", ("limit", "offset"), id="6.4-list"),
    ],
)
@PROPERTY
@given(data=st.data())
async def test_any_query_is_answered_as_described(
    client: httpx.AsyncClient,
    task_url: str,
    run: Run,
    description: Description,
    path: str,
    names: tuple[str, ...],
    data: st.DataObject,
) -> None:
    texts = st.text(max_size=30).filter(lambda text: text.isprintable()) | st.sampled_from(
        ["\x00", "-1", "1e9", "9" * 400, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59", "2026"]
    )
    query = data.draw(st.dictionaries(st.sampled_from(names), texts))
    url = f"{task_url}/runs/{run.id}{path}" if path else f"{task_url}/runs"

    response = await client.get(url, params=query)

    assert response.status_code < 500, response.text
    description.check(response)
