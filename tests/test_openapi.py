"""The published description: valid, complete, true to what the service really answers."""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from app import __version__
from app.config import Settings
from app.main import create_app
from app.web.auth import RunTokenGate
from app.web.documentation import PUBLIC_PATHS
from app.web.examples import EXAMPLES
from app.web.openapi import describe_routes, gate_of, reader_of
from tests.support.conformance import Description

_APP = create_app(Settings(development=True))
_DOCUMENT: dict[str, Any] = _APP.openapi()

_TASK = "/api/projects/{project_id}/tasks/{task_id}"
_ENVIRONMENTS = "/api/projects/{project_id}/sandbox_environments"

# Clients are generated from these names: a change here is a change of the API.
_OPERATIONS = {
    ("GET", "/livez"): "livez",
    ("GET", "/readyz"): "readyz",
    ("GET", "/metrics"): "metrics",
    ("POST", "/api/webhooks/github"): "webhooks_github_create",
    ("GET", "/api/users/@me"): "users_me_retrieve",
    ("GET", "/api/projects"): "projects_list",
    ("GET", "/api/projects/{project_id}/tasks"): "tasks_list",
    ("POST", "/api/projects/{project_id}/tasks"): "tasks_create",
    ("GET", "/api/projects/{project_id}/tasks/repositories"): "tasks_repositories_retrieve",
    ("POST", "/api/projects/{project_id}/tasks/summaries"): "tasks_summaries_create",
    ("GET", _TASK): "tasks_retrieve",
    ("PATCH", _TASK): "tasks_partial_update",
    ("PUT", _TASK): "tasks_update",
    ("DELETE", _TASK): "tasks_destroy",
    ("POST", f"{_TASK}/run"): "tasks_run_create",
    ("GET", f"{_TASK}/runs"): "tasks_runs_list",
    ("GET", f"{_TASK}/runs/{{run_id}}"): "tasks_runs_retrieve",
    ("POST", f"{_TASK}/runs"): "tasks_runs_create",
    ("PATCH", f"{_TASK}/runs/{{run_id}}"): "tasks_runs_partial_update",
    ("PATCH", f"{_TASK}/runs/{{run_id}}/set_output"): "tasks_runs_set_output_partial_update",
    ("POST", f"{_TASK}/runs/{{run_id}}/start"): "tasks_runs_start_create",
    ("POST", f"{_TASK}/runs/{{run_id}}/resume_in_cloud"): "tasks_runs_resume_in_cloud_create",
    ("GET", f"{_TASK}/runs/{{run_id}}/connection_token"): "tasks_runs_connection_token_retrieve",
    ("POST", f"{_TASK}/runs/{{run_id}}/append_log"): "tasks_runs_append_log_create",
    ("POST", f"{_TASK}/runs/{{run_id}}/relay_message"): "tasks_runs_relay_message_create",
    ("POST", f"{_TASK}/runs/{{run_id}}/command"): "tasks_runs_command_create",
    ("GET", f"{_TASK}/runs/{{run_id}}/stream"): "tasks_runs_stream_retrieve",
    ("POST", f"{_TASK}/runs/{{run_id}}/event_stream"): "tasks_runs_event_stream_create",
    ("GET", f"{_TASK}/runs/{{run_id}}/logs"): "tasks_runs_logs_retrieve",
    ("GET", f"{_TASK}/runs/{{run_id}}/session_logs"): "tasks_runs_session_logs_retrieve",
    ("POST", f"{_TASK}/staged_artifacts/prepare_upload"): "tasks_staged_artifacts_prepare_upload_create",
    ("POST", f"{_TASK}/staged_artifacts/finalize_upload"): "tasks_staged_artifacts_finalize_upload_create",
    ("POST", f"{_TASK}/runs/{{run_id}}/artifacts"): "tasks_runs_artifacts_create",
    (
        "POST",
        f"{_TASK}/runs/{{run_id}}/artifacts/prepare_upload",
    ): "tasks_runs_artifacts_prepare_upload_create",
    (
        "POST",
        f"{_TASK}/runs/{{run_id}}/artifacts/finalize_upload",
    ): "tasks_runs_artifacts_finalize_upload_create",
    ("POST", f"{_TASK}/runs/{{run_id}}/artifacts/presign"): "tasks_runs_artifacts_presign_create",
    ("POST", f"{_TASK}/runs/{{run_id}}/artifacts/download"): "tasks_runs_artifacts_download_create",
    ("GET", f"{_TASK}/runs/{{run_id}}/artifacts/download"): "tasks_runs_artifacts_download_retrieve",
    ("GET", _ENVIRONMENTS): "sandbox_environments_list",
    ("POST", _ENVIRONMENTS): "sandbox_environments_create",
    ("GET", f"{_ENVIRONMENTS}/{{environment_id}}"): "sandbox_environments_retrieve",
    ("PATCH", f"{_ENVIRONMENTS}/{{environment_id}}"): "sandbox_environments_partial_update",
    ("DELETE", f"{_ENVIRONMENTS}/{{environment_id}}"): "sandbox_environments_destroy",
    ("GET", "/api/users/@me/push_tokens"): "users_push_tokens_list",
    ("POST", "/api/users/@me/push_tokens"): "users_push_tokens_create",
    ("POST", "/api/users/@me/push_tokens/unregister"): "users_push_tokens_unregister_create",
    ("GET", "/api/push/vapid_public_key"): "push_vapid_public_key_retrieve",
    ("POST", f"{_TASK}/presence"): "tasks_presence_create",
    ("DELETE", f"{_TASK}/presence"): "tasks_presence_destroy",
    ("GET", f"{_TASK}/notifications"): "tasks_notifications_list",
    ("POST", f"{_TASK}/notifications/test"): "tasks_notifications_test_create",
    ("PUT", f"{_TASK}/mute"): "tasks_mute_update",
    ("DELETE", f"{_TASK}/mute"): "tasks_mute_destroy",
    ("GET", "/api/users/@me/notification_preferences"): "users_notification_preferences_retrieve",
    ("PATCH", "/api/users/@me/notification_preferences"): "users_notification_preferences_partial_update",
}


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in _DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


_each_operation = pytest.mark.parametrize(
    "operation", [operation for _, _, operation in _operations()], ids=lambda each: each["operationId"]
)
_each_route = pytest.mark.parametrize(
    "route", list(describe_routes(_APP)), ids=lambda route: route.operation_id
)


_DESCRIPTION = Description(_APP)


def test_version_is_that_of_the_package() -> None:
    assert _DOCUMENT["info"]["version"] == metadata.version("taskbeacon") == __version__


def test_description_is_valid_openapi() -> None:
    validate(_DOCUMENT)
    assert _DOCUMENT["openapi"].startswith("3.1.")


def test_paths_methods_and_operation_ids_are_stable() -> None:
    described = {(method, path): operation["operationId"] for method, path, operation in _operations()}

    assert described == _OPERATIONS
    assert len(set(described.values())) == len(described)


def test_every_route_states_its_scope_or_is_on_the_public_list() -> None:
    without_gate = {
        route.path
        for route in iter_route_contexts(_APP.routes)
        if getattr(route, "dependant", None) is None or gate_of(route) is None
    }

    assert without_gate == PUBLIC_PATHS


@_each_route
def test_errors_of_the_gates_are_declared(route: Any) -> None:
    declared = set(_operation(route)["responses"])
    gate, reader = gate_of(route), reader_of(route)
    expected: set[str] = set()
    if isinstance(gate, RunTokenGate):
        expected |= {"403", "404", "500", "503"}
    elif gate:
        expected |= {"403", "429", "500", "503"} | ({"404"} if gate.in_project else {"401"})
    if reader:
        expected |= {"400", "413", "415"}

    assert expected <= declared
    assert "422" not in declared


@_each_route
def test_scope_is_published(route: Any) -> None:
    operation, gate = _operation(route), gate_of(route)

    if gate is None:
        assert operation["security"] == []
    elif isinstance(gate, RunTokenGate):
        assert operation["security"] == [{"runToken": []}]
    else:
        assert operation["security"] == [{"personalApiKey": [gate.scope]}]
        assert f"`{gate.scope}`" in operation["description"]


@_each_operation
def test_operation_says_what_it_does(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert len(operation["description"]) > len(operation["summary"])
    assert [tag for tag in _DOCUMENT["tags"] if tag["name"] in operation["tags"] and tag["description"]]
    assert [parameter for parameter in operation.get("parameters", []) if not parameter["description"]] == []
    assert not any(
        response["description"] == "Successful Response" for response in operation["responses"].values()
    )


@_each_operation
def test_examples_are_there_and_fit_their_schemas(operation: dict[str, Any]) -> None:
    described = [operation["requestBody"]] if "requestBody" in operation else []
    described += operation["responses"].values()
    for part in described:
        for media_type, content in part.get("content", {}).items():
            examples = [each["value"] for each in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            # A file has no example, and a part that is down has as many as there are parts.
            assert (
                examples or media_type == "application/octet-stream" or operation["operationId"] == "readyz"
            )
            for example in examples:
                assert _DESCRIPTION.violations(example, content["schema"]) == []


def test_every_field_that_may_be_sent_is_explained() -> None:
    schemas = _DOCUMENT["components"]["schemas"]
    bodies = [name for name in schemas if name.endswith("In")]
    unexplained = [
        f"{name}.{field}"
        for name in bodies
        for field, schema in schemas[name]["properties"].items()
        if not schema.get("description")
    ]

    assert "TaskIn" in bodies
    assert unexplained == []


def test_examples_are_of_operations_that_exist() -> None:
    assert set(EXAMPLES) == set(_OPERATIONS.values())


@_each_route
def test_example_bodies_are_accepted_by_their_models(route: Any) -> None:
    reader, bodies = reader_of(route), EXAMPLES[route.operation_id].bodies

    assert bool(bodies) == (reader is not None)
    if reader is not None:
        for body in bodies.values():
            assert reader.model.model_validate(body)


async def test_unexpected_error_is_answered_as_the_example_says() -> None:
    # Nothing was opened for this application, so that the first gate trips over it.
    transport = httpx.ASGITransport(_APP, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        response = await client.get("/api/users/@me")

    described = _DOCUMENT["paths"]["/api/users/@me"]["get"]["responses"]["500"]["content"]["application/json"]
    assert response.status_code == 500
    assert response.json() == described["examples"]["example1"]["value"]


async def test_description_is_served(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get("/openapi.json/")

    assert response.status_code == 200
    assert response.json() == _DOCUMENT


async def test_explorer_may_load_from_this_service_alone(anonymous: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/docs"), ("GET", "/docs/"), ("HEAD", "/docs")):
        response = await anonymous.request(method, path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert ("SwaggerUIBundle" in response.text) == (method == "GET")
        assert "//" not in response.text.replace("// ", "")


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"])
async def test_files_of_the_explorer_are_served(anonymous: httpx.AsyncClient, name: str) -> None:
    response = await anonymous.head(f"/docs/static/{name}")

    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 0


async def test_every_success_of_tasks_and_runs_is_answered_as_described(
    client: httpx.AsyncClient, tasks_url: str
) -> None:
    created = await client.post(tasks_url, json={"title": "Say hello", "repository": "Acme/Shop"})
    task_url = f"{tasks_url}/{created.json()['id']}"
    started = await client.post(f"{task_url}/run")
    answers = [
        created,
        started,
        *[await client.get(url) for url in ("/livez", "/metrics", "/api/users/@me", "/api/projects")],
        await client.get(tasks_url),
        await client.get(f"{tasks_url}/repositories"),
        await client.post(f"{tasks_url}/summaries", json={"ids": [created.json()["id"]]}),
        await client.get(task_url),
        await client.get(f"{task_url}/runs"),
        await client.get(f"{task_url}/runs/{started.json()['latest_run']['id']}"),
        await client.patch(task_url, json={"archived": True}),
        await client.put(task_url, json={"archived": False}),
        await client.delete(task_url),
    ]

    for answer in answers:
        assert answer.is_success, answer.text
        _DESCRIPTION.check(answer)


@pytest.fixture(scope="module")
def generated() -> Any:
    """What makes requests that fit the description, by path and method."""
    from schemathesis import openapi  # noqa: PLC0415 - seconds, for each process that only collects this module

    return openapi.from_dict(_DOCUMENT)


# The one body that is no JSON document has tests of its own lines (tests/contract/streams/test_event_stream.py).
_GENERATED_OPERATIONS = [
    (method, path)
    for method, path in _OPERATIONS
    if path.startswith("/api") and not path.endswith("/event_stream")
]


@pytest.mark.parametrize(("method", "path"), _GENERATED_OPERATIONS, ids=lambda part: part)
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_whatever_fits_the_description_is_answered_as_described(
    data: st.DataObject, method: str, path: str, generated: Any, client: httpx.AsyncClient, tasks_url: str
) -> None:
    case = data.draw(generated[path][method].as_strategy())
    task = (await client.post(tasks_url, json={"title": "Target"})).json()
    url = path.replace("/api/projects/{project_id}/tasks", tasks_url).replace("{task_id}", task["id"])
    url = url.replace("{run_id}", str(case.path_parameters.get("run_id", "")))
    body = case.body if isinstance(case.body, dict | list) else None

    response = await client.request(method, url, params=case.query, json=body)

    assert response.status_code != 500
    _DESCRIPTION.check(response)


def _operation(route: Any) -> dict[str, Any]:
    (method,) = route.methods
    operation: dict[str, Any] = _DOCUMENT["paths"][route.path_format][method.lower()]
    return operation


def test_application_under_test_is_the_described_one(application: FastAPI) -> None:
    assert application.openapi() == _DOCUMENT
