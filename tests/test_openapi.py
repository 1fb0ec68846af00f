"""The published description: valid, complete, true to what the service really answers."""

import inspect
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, get_origin

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.routing import Mount, Route

from app import __version__
from app.config import Settings
from app.enums import EventType
from app.main import create_app
from app.models import Project
from app.web.auth import ConsoleGate, RunTokenGate, StreamGate
from app.web.openapi.document import describe_routes, gate_of, reader_of
from app.web.responses import SecretJson
from tests.support.web.clients import in_process_client
from tests.support.web.conformance import Description

_ANY_ID = "00000000-0000-4000-8000-000000000000"
_TASK = "/api/projects/{project_id}/tasks/{task_id}"
_RUN = f"{_TASK}/runs/{{run_id}}"
_CHECK_SETS = "/api/projects/{project_id}/check_sets"
_ENVIRONMENTS = "/api/projects/{project_id}/sandbox_environments"
_EVENTS = "/api/projects/{project_id}/events"
_HOOKS = "/api/projects/{project_id}/webhook_endpoints"
_HOOK = f"{_HOOKS}/{{endpoint_id}}"

# Clients are generated from these names: a change here is a change of the API.
_OPERATIONS = {
    ("GET", "/livez"): "livez",
    ("GET", "/readyz"): "readyz",
    ("GET", "/metrics"): "metrics",
    ("POST", "/api/webhooks/github"): "webhooks_github_create",
    ("GET", "/api/users/@me"): "users_me_retrieve",
    ("GET", "/api/projects"): "projects_list",
    ("GET", "/api/projects/{project_id}/resolve"): "resolve_retrieve",
    ("GET", "/api/projects/{project_id}/tasks"): "tasks_list",
    ("POST", "/api/projects/{project_id}/tasks"): "tasks_create",
    ("GET", "/api/projects/{project_id}/tasks/repositories"): "tasks_repositories_retrieve",
    ("GET", "/api/projects/{project_id}/tasks/models"): "tasks_models_retrieve",
    ("POST", "/api/projects/{project_id}/tasks/summaries"): "tasks_summaries_create",
    ("GET", "/api/projects/{project_id}/tasks/pinned"): "tasks_pinned_retrieve",
    ("GET", "/api/projects/{project_id}/tasks/search"): "tasks_search_list",
    ("POST", "/api/projects/{project_id}/tasks/bulk"): "tasks_bulk_create",
    ("POST", "/api/projects/{project_id}/tasks/{task_id}/pin"): "tasks_pin_create",
    ("GET", _TASK): "tasks_retrieve",
    ("PATCH", _TASK): "tasks_partial_update",
    ("PUT", _TASK): "tasks_update",
    ("DELETE", _TASK): "tasks_destroy",
    ("POST", f"{_TASK}/run"): "tasks_run_create",
    ("GET", f"{_TASK}/runs"): "tasks_runs_list",
    ("GET", _RUN): "tasks_runs_retrieve",
    ("POST", f"{_TASK}/runs"): "tasks_runs_create",
    ("PATCH", _RUN): "tasks_runs_partial_update",
    ("PATCH", f"{_RUN}/set_output"): "tasks_runs_set_output_partial_update",
    ("POST", f"{_RUN}/start"): "tasks_runs_start_create",
    ("POST", f"{_RUN}/resume_in_cloud"): "tasks_runs_resume_in_cloud_create",
    ("GET", f"{_RUN}/connection_token"): "tasks_runs_connection_token_retrieve",
    ("GET", f"{_RUN}/stream_token"): "tasks_runs_stream_token_retrieve",
    ("POST", f"{_RUN}/cancel"): "tasks_runs_cancel_create",
    ("POST", f"{_RUN}/append_log"): "tasks_runs_append_log_create",
    ("POST", f"{_RUN}/relay_message"): "tasks_runs_relay_message_create",
    ("POST", f"{_RUN}/command"): "tasks_runs_command_create",
    ("GET", f"{_RUN}/stream"): "tasks_runs_stream_retrieve",
    ("POST", f"{_RUN}/event_stream"): "tasks_runs_event_stream_create",
    ("GET", f"{_RUN}/logs"): "tasks_runs_logs_retrieve",
    ("GET", f"{_RUN}/session_logs"): "tasks_runs_session_logs_retrieve",
    ("POST", f"{_TASK}/staged_artifacts/prepare_upload"): "tasks_staged_artifacts_prepare_upload_create",
    ("POST", f"{_TASK}/staged_artifacts/finalize_upload"): "tasks_staged_artifacts_finalize_upload_create",
    ("POST", f"{_RUN}/artifacts"): "tasks_runs_artifacts_create",
    ("POST", f"{_RUN}/artifacts/prepare_upload"): "tasks_runs_artifacts_prepare_upload_create",
    ("POST", f"{_RUN}/artifacts/finalize_upload"): "tasks_runs_artifacts_finalize_upload_create",
    ("POST", f"{_RUN}/artifacts/presign"): "tasks_runs_artifacts_presign_create",
    ("POST", f"{_RUN}/artifacts/download"): "tasks_runs_artifacts_download_create",
    ("GET", f"{_RUN}/artifacts/download"): "tasks_runs_artifacts_download_retrieve",
    ("GET", f"{_RUN}/artifacts/{{artifact_id}}/download"): "tasks_runs_artifacts_download_by_id_retrieve",
    ("POST", f"{_RUN}/artifacts/dismiss"): "tasks_runs_artifacts_dismiss_create",
    ("GET", f"{_TASK}/usage"): "tasks_usage_retrieve",
    ("GET", _ENVIRONMENTS): "sandbox_environments_list",
    ("POST", _ENVIRONMENTS): "sandbox_environments_create",
    ("GET", f"{_ENVIRONMENTS}/{{environment_id}}"): "sandbox_environments_retrieve",
    ("PATCH", f"{_ENVIRONMENTS}/{{environment_id}}"): "sandbox_environments_partial_update",
    ("DELETE", f"{_ENVIRONMENTS}/{{environment_id}}"): "sandbox_environments_destroy",
    ("GET", _CHECK_SETS): "check_sets_list",
    ("POST", _CHECK_SETS): "check_sets_create",
    ("POST", f"{_CHECK_SETS}/detect"): "check_sets_detect_create",
    ("GET", f"{_CHECK_SETS}/{{set_id}}"): "check_sets_retrieve",
    ("PATCH", f"{_CHECK_SETS}/{{set_id}}"): "check_sets_partial_update",
    ("DELETE", f"{_CHECK_SETS}/{{set_id}}"): "check_sets_destroy",
    ("GET", f"{_RUN}/verification"): "tasks_runs_verification_list",
    ("POST", f"{_RUN}/verification/waive"): "tasks_runs_verification_waive_create",
    ("POST", f"{_RUN}/verify"): "tasks_runs_verify_create",
    ("GET", _EVENTS): "events_list",
    ("GET", f"{_EVENTS}/stream"): "events_stream_retrieve",
    ("GET", "/api/projects/{project_id}/webhook_event_types"): "webhook_event_types_list",
    ("GET", _HOOKS): "webhook_endpoints_list",
    ("POST", _HOOKS): "webhook_endpoints_create",
    ("GET", _HOOK): "webhook_endpoints_retrieve",
    ("PATCH", _HOOK): "webhook_endpoints_partial_update",
    ("DELETE", _HOOK): "webhook_endpoints_destroy",
    ("POST", f"{_HOOK}/rotate_secret"): "webhook_endpoints_rotate_secret_create",
    ("POST", f"{_HOOK}/ping"): "webhook_endpoints_ping_create",
    ("POST", f"{_HOOK}/enable"): "webhook_endpoints_enable_create",
    ("POST", f"{_HOOK}/recover"): "webhook_endpoints_recover_create",
    ("GET", f"{_HOOK}/deliveries"): "webhook_endpoints_deliveries_list",
    ("GET", f"{_HOOK}/deliveries/{{delivery_id}}"): "webhook_endpoints_deliveries_retrieve",
    (
        "POST",
        f"{_HOOK}/deliveries/{{delivery_id}}/redeliver",
    ): "webhook_endpoints_deliveries_redeliver_create",
    ("GET", "/api/users/@me/push_tokens"): "users_push_tokens_list",
    ("POST", "/api/users/@me/push_tokens"): "users_push_tokens_create",
    ("POST", "/api/users/@me/push_tokens/unregister"): "users_push_tokens_unregister_create",
    ("DELETE", "/api/users/@me/push_tokens/{device_id}"): "users_push_tokens_destroy",
    ("GET", "/api/push/vapid_public_key"): "push_vapid_public_key_retrieve",
    ("POST", f"{_TASK}/presence"): "tasks_presence_create",
    ("DELETE", f"{_TASK}/presence"): "tasks_presence_destroy",
    ("GET", "/api/projects/{project_id}/viewers"): "viewers_list",
    ("GET", "/api/projects/{project_id}/task_activity"): "task_activity_list",
    ("POST", "/api/projects/{project_id}/task_activity/mark_read"): "task_activity_mark_read_create",
    ("GET", f"{_TASK}/notifications"): "tasks_notifications_list",
    ("POST", f"{_TASK}/notifications/test"): "tasks_notifications_test_create",
    ("GET", f"{_TASK}/mute"): "tasks_mute_retrieve",
    ("PUT", f"{_TASK}/mute"): "tasks_mute_update",
    ("DELETE", f"{_TASK}/mute"): "tasks_mute_destroy",
    ("PUT", f"{_TASK}/follow"): "tasks_follow_update",
    ("DELETE", f"{_TASK}/follow"): "tasks_follow_destroy",
    ("GET", "/api/users/@me/inbox"): "users_inbox_list",
    ("GET", "/api/users/@me/inbox/stream"): "users_inbox_stream_retrieve",
    ("POST", "/api/projects/{project_id}/questions/{question_id}/answer"): "questions_answer_create",
    ("POST", "/api/projects/{project_id}/questions/{question_id}/snooze"): "questions_snooze_create",
    ("GET", f"{_RUN}/questions"): "tasks_runs_questions_list",
    ("POST", "/api/actions/{token}"): "actions_create",
    ("GET", f"{_RUN}/diff"): "tasks_runs_diff_retrieve",
    ("GET", f"{_RUN}/diff/file"): "tasks_runs_diff_file_retrieve",
    ("GET", f"{_RUN}/review"): "tasks_runs_review_retrieve",
    ("PUT", f"{_RUN}/review"): "tasks_runs_review_update",
    ("GET", "/api/projects/{project_id}/agents"): "agents_list",
    ("GET", "/api/projects/{project_id}/limits"): "limits_list",
    ("GET", "/api/projects/{project_id}/queue"): "queue_retrieve",
    ("GET", "/api/users/@me/api_keys"): "users_api_keys_list",
    ("POST", "/api/users/@me/api_keys"): "users_api_keys_create",
    ("DELETE", "/api/users/@me/api_keys/{key_id}"): "users_api_keys_destroy",
    ("POST", "/api/console/session"): "console_session_create",
    ("GET", "/api/console/session"): "console_session_retrieve",
    ("DELETE", "/api/console/session"): "console_session_destroy",
    ("GET", "/api/console/sessions"): "console_sessions_list",
    ("DELETE", "/api/console/sessions/{session_id}"): "console_sessions_destroy",
    ("POST", "/api/cli/login"): "cli_login_create",
    ("POST", "/api/cli/login/token"): "cli_login_token_create",
    ("GET", "/api/cli/login/{user_code}"): "cli_login_retrieve",
    ("POST", "/api/cli/login/{user_code}/approve"): "cli_login_approve_create",
    ("POST", "/api/cli/login/{user_code}/deny"): "cli_login_deny_create",
    ("GET", "/api/users/@me/notification_preferences"): "users_notification_preferences_retrieve",
    ("PATCH", "/api/users/@me/notification_preferences"): "users_notification_preferences_partial_update",
}


# Paths that answer without a key. All other endpoints must have a scope in their signature.
_PUBLIC_PATHS = frozenset(
    {
        "/",
        "/livez",
        "/readyz",
        "/metrics",
        "/docs",
        "/docs/explorer.js",
        "/docs/static",
        "/openapi.json",
        "/console",
        "/console/{path:path}",
        "/api/webhooks/github",
        # Who signs in has no key yet.
        "/api/cli/login",
        "/api/cli/login/token",
        # An action token in the path is the credential.
        "/a/{token}",
        "/api/actions/{token}",
        # Its body is the credential.
        "/api/console/session",
    }
)


@pytest.fixture(scope="module")
def document(shared_application: FastAPI) -> dict[str, Any]:
    return shared_application.openapi()


@pytest.fixture(scope="module")
def description(shared_application: FastAPI) -> Description:
    return Description(shared_application)


@pytest.fixture(scope="module")
def routes(shared_application: FastAPI) -> Mapping[str, Any]:
    """The described endpoints by the ids of their operations."""
    return {str(route.operation_id): route for route in describe_routes(shared_application)}


@pytest.fixture(scope="module")
def operations(document: dict[str, Any], routes: Mapping[str, Any]) -> dict[str, Any]:
    """The operation of each route in the document."""
    return {
        name: document["paths"][route.path_format][method.lower()]
        for name, route in routes.items()
        for method in route.methods
    }


def test_version_is_that_of_the_package(document: dict[str, Any]) -> None:
    assert (
        document["info"]["version"]
        == metadata.version("taskbeacon-server")
        == metadata.version("taskbeacon")
        == __version__
    )


def test_description_is_valid_openapi(document: dict[str, Any]) -> None:
    from openapi_spec_validator import validate  # noqa: PLC0415 - takes long to load, and serves this test alone

    validate(document)
    assert document["openapi"].startswith("3.1.")


def test_paths_methods_and_operation_ids_are_stable(
    document: dict[str, Any], operations: dict[str, Any]
) -> None:
    described = {
        (method.upper(), path): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }

    assert described == _OPERATIONS
    assert len(set(described.values())) == len(described)
    assert operations.keys() == set(described.values())


def test_every_event_is_published_as_a_webhook_with_its_body(document: dict[str, Any]) -> None:
    webhooks = document["webhooks"]
    assert set(webhooks) == set(EventType)
    for type_, webhook in webhooks.items():
        media = webhook["post"]["requestBody"]["content"]["application/json"]
        assert media["schema"]["properties"]["type"] == {"const": type_}
        Draft202012Validator(media["schema"]).validate(media["example"])
        headers = {parameter["name"] for parameter in webhook["post"]["parameters"]}
        assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}


# Names of properties whose value may let its bearer do something.
_SECRET = re.compile(r"(^|_)(code|key|password|secret|token|value)$|^expires_in$|^presigned_")
_PUBLIC = {"api_token", "cache_key", "code", "exit_code", "has_key", "public_key", "status_code"}


def properties(schema: Any, document: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the properties of a schema, at any depth."""
    if isinstance(schema, list):
        for part in schema:
            yield from properties(part, document)
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        if name := schema.get("$ref", "").rpartition("/")[2]:
            yield from properties(document["components"]["schemas"][name], document)
        yield from properties(list(schema.values()), document)


def test_no_cache_stores_an_answer_with_a_secret(
    document: dict[str, Any], routes: Mapping[str, Any], operations: dict[str, Any]
) -> None:
    """Regression: browsers could keep the tokens of runs, and the secrets of webhook endpoints."""

    def has_secret(name: str) -> bool:
        answers = [answer for status, answer in operations[name]["responses"].items() if status < "3"]
        return any(map(_SECRET.search, {*properties(answers, document)} - _PUBLIC))

    def is_typed(name: str) -> bool:
        return (
            get_origin(inspect.signature(routes[name].endpoint, eval_str=True).return_annotation)
            is SecretJson
        )

    # The value of a limit is a number; the secret of a session is in its cookie.
    with_secret = {*filter(has_secret, routes)} - {"limits_list"} | {"console_session_create"}
    assert {*filter(is_typed, routes)} == with_secret
    assert SecretJson({}, headers={"Set-Cookie": "a=b"}).headers["Cache-Control"] == "no-store"


@pytest.mark.walls
def test_pages_of_a_log_have_limits_of_their_own(document: dict[str, Any]) -> None:
    """Regression: the limits were described as those of lists, which are read leniently."""
    url = "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/session_logs"
    described = {each["name"]: each for each in document["paths"][url]["get"]["parameters"]}
    limit, offset = described["limit"]["schema"], described["offset"]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 5000, 1000)
    assert (offset["minimum"], offset["default"]) == (0, 0)
    assert "not a positive number" not in described["limit"]["description"]


def test_every_route_states_its_scope_or_is_on_the_public_list(shared_application: FastAPI) -> None:
    without_gate = {
        route.path
        for route in shared_application.routes
        if isinstance(route, Mount | Route) and not (isinstance(route, APIRoute) and gate_of(route))
    }

    assert without_gate == _PUBLIC_PATHS


def test_errors_of_the_gates_are_declared(routes: Mapping[str, Any], operations: dict[str, Any]) -> None:
    for name, route in routes.items():
        declared = set(operations[name]["responses"])
        gate, reader = gate_of(route), reader_of(route)
        expected: set[str] = set()
        if isinstance(gate, RunTokenGate):
            expected |= {"403", "404", "500", "503"}
        elif isinstance(gate, ConsoleGate):
            expected |= {"401", "429", "500", "503"}
        elif gate:
            # The mapper of errors recognises the routes of a project by this parameter, to answer 403 instead of 401.
            assert gate.in_project == ("{project_id}" in route.path_format), name
            expected |= {"403", "500", "503"} | ({"404"} if gate.in_project else {"401"})
            assert ("429" in declared) == gate.is_throttled, name
        if reader:
            expected |= {"400", "413", "415"}

        assert expected - declared == set(), name
        assert "422" not in declared, name


def test_operations_name_their_scope(routes: Mapping[str, Any], operations: dict[str, Any]) -> None:
    for name, route in routes.items():
        gate = gate_of(route)
        expected: list[dict[str, list[str]]] = []
        if isinstance(gate, RunTokenGate):
            expected = [{"runToken": []}]
        elif isinstance(gate, ConsoleGate):
            expected = [{"consoleSession": []}]
        elif gate is not None:
            expected = [{"personalApiKey": [gate.scope]}]
            if isinstance(gate, StreamGate):
                expected.append({"streamToken": []})
            assert f"`{gate.scope}`" in operations[name]["description"], name

        assert operations[name]["security"] == expected, name


def test_operations_say_what_they_do(document: dict[str, Any], operations: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    for name, operation in operations.items():
        assert operation["summary"], name
        assert len(operation["description"]) > len(operation["summary"]), name
        assert described & set(operation["tags"]), name
        assert all(parameter["description"] for parameter in operation.get("parameters", [])), name
        assert all(
            response["description"] != "Successful Response" for response in operation["responses"].values()
        ), name


@pytest.mark.walls
@pytest.mark.parametrize("method", ["get", "post"])
def test_download_is_described_as_a_file_of_any_type(document: dict[str, Any], method: str) -> None:
    """The download has the type of the artifact, not `application/octet-stream` alone."""
    [path] = [path for path in document["paths"] if path.rstrip("/").endswith("/artifacts/download")]
    assert set(document["paths"][path][method]["responses"]["200"]["content"]) == {"*/*"}


def test_examples_of_bodies_and_errors_are_there_and_fit_their_schemas(
    description: Description, operations: dict[str, Any], document: dict[str, Any]
) -> None:
    parts = document["components"]["responses"] | {
        name: operation["requestBody"] for name, operation in operations.items() if "requestBody" in operation
    }
    for name, part in parts.items():
        for content in part["content"].values():
            examples = [each["value"] for each in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            assert examples, name
            for example in examples:
                assert description.violations(example, content["schema"]) == [], name


def test_every_field_that_may_be_sent_is_explained(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = [name for name in schemas if name.endswith("In")]
    unexplained = [
        f"{name}.{field}"
        for name in bodies
        for field, schema in schemas[name]["properties"].items()
        if not schema.get("description")
    ]

    assert "TaskIn" in bodies
    assert unexplained == []


def test_no_field_of_a_body_has_a_default(document: dict[str, Any]) -> None:
    # Generated clients would send it, and an update would overwrite what the caller did not mention.
    schemas = document["components"]["schemas"]
    pending = [
        content["schema"]
        for item in document["paths"].values()
        for operation in item.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]
    bodies: dict[str, Any] = {}
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in bodies:
                bodies[name] = schemas[name]
                pending.append(schemas[name])
            pending.extend(part.values())

    assert {"TaskIn", "SandboxEnvironmentUpdateIn", "PreferencesIn", "PrepareItem"} <= bodies.keys()
    assert [
        f"{name}.{field}"
        for name, schema in bodies.items()
        for field, described in schema["properties"].items()
        if "default" in described
    ] == []


def test_null_is_among_the_choices_of_a_field_that_may_be_null(document: dict[str, Any]) -> None:
    relationship = document["components"]["schemas"]["TaskIn"]["properties"][
        "signal_report_task_relationship"
    ]

    assert relationship["type"] == ["string", "null"]
    assert None in relationship["enum"]


def test_examples_of_bodies_are_taken(routes: Mapping[str, Any]) -> None:
    for reader in filter(None, map(reader_of, routes.values())):
        assert reader.model.examples
        assert all(reader.model.model_validate(body) for body in reader.model.examples.values())


async def test_unexpected_error_is_answered_as_the_example_says(description: Description) -> None:
    # Nothing was opened for this application, so that the first gate trips over it.
    application = create_app(Settings(development=True))
    response = await in_process_client(application).get("/api/users/@me")

    operation = description.operation("GET", "/api/users/@me")
    assert operation is not None
    described = description.response(operation["responses"]["500"])
    assert response.status_code == 500
    assert response.json() == described["content"]["application/json"]["example"]


async def test_description_is_served_compressed_and_need_not_be_sent_twice(
    anonymous: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    plain = await anonymous.get("/openapi.json/", headers={"Accept-Encoding": "gzip;q=0"})
    compressed = await anonymous.get("/openapi.json", headers={"Accept-Encoding": "br, gzip"})

    assert plain.status_code == 200
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert plain.json() == compressed.json() == document
    assert int(compressed.headers["content-length"]) < int(plain.headers["content-length"]) / 5
    assert "Accept-Encoding" in plain.headers["vary"]
    tag = compressed.headers["etag"]
    assert plain.headers["etag"] == tag
    again = await anonymous.get("/openapi.json", headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await anonymous.get("/openapi.json", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_runs_come_before_their_logs(document: dict[str, Any]) -> None:
    """Swagger UI shows the operations of a group in the order of the paths."""
    paths = list(document["paths"])
    below = "/api/projects/{project_id}/tasks/{task_id}/runs"

    assert paths.index(below) < paths.index(f"{below}/{{run_id}}") < paths.index(f"{below}/{{run_id}}/logs")


async def test_explorer_is_at_the_base_address_and_may_load_from_this_service_alone(
    anonymous: httpx.AsyncClient,
) -> None:
    base = await anonymous.get("/")
    # Or to the console, where that is built (tests/web/console/test_files.py).
    assert base.status_code == 307
    for method, path in (("GET", "/docs"), ("GET", "/docs/"), ("HEAD", "/docs")):
        response = await anonymous.request(method, path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")
        policy = response.headers["content-security-policy"].split("; ")
        assert {"default-src 'self'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert ("explorer.js" in response.text) == (method == "GET")
        assert "//" not in response.text


async def test_files_of_the_explorer_are_served(anonymous: httpx.AsyncClient) -> None:
    for name in re.findall(r'(?:src|href)="([^"]+)"', (await anonymous.get("/docs")).text):
        response = await anonymous.head(name)

        assert response.status_code == 200, name
        assert int(response.headers["content-length"]) > 0, name


async def test_every_success_of_tasks_and_runs_is_answered_as_described(
    client: httpx.AsyncClient, tasks_url: str, description: Description
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
        await client.post(f"{task_url}/pin", json={"pinned": True}),
        await client.get(f"{tasks_url}/pinned"),
        await client.get(f"{tasks_url}/search?q=say"),
        await client.post(f"{tasks_url}/bulk", json={"action": "archive", "ids": [created.json()["id"]]}),
        await client.get(task_url),
        await client.get(f"{task_url}/runs"),
        await client.get(f"{task_url}/runs/{started.json()['latest_run']['id']}"),
        await client.patch(task_url, json={"archived": True}),
        await client.put(task_url, json={"archived": False}),
        await client.delete(task_url),
    ]

    for answer in answers:
        assert answer.is_success, answer.text
        description.check(answer)


@pytest.fixture(scope="module")
def generated(document: dict[str, Any]) -> Any:
    """The generators of requests that fit the description, by path and method."""
    from schemathesis import openapi  # noqa: PLC0415 - seconds, for each process that only collects this module

    return openapi.from_dict(document)


# The one body that is no JSON document, and the answers without end, have tests of their own (tests/contract/streams).
_GENERATED_OPERATIONS = [
    (method, path)
    for method, path in _OPERATIONS
    if path.startswith("/api") and not path.endswith(("/event_stream", "/events/stream", "/inbox/stream"))
]


@pytest.mark.parametrize(("method", "path"), _GENERATED_OPERATIONS, ids=lambda part: part)
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_whatever_fits_the_description_is_answered_as_described(
    data: st.DataObject,
    method: str,
    path: str,
    generated: Any,
    client: httpx.AsyncClient,
    project: Project,
    tasks_url: str,
    description: Description,
) -> None:
    # What is given is not drawn: where a path is all there is, one example is enough.
    names = {
        "project_id": project.id,
        "task_id": _ANY_ID,
        "run_id": _ANY_ID,
        "environment_id": _ANY_ID,
        "set_id": _ANY_ID,
    }
    names |= {"endpoint_id": _ANY_ID, "delivery_id": _ANY_ID, "question_id": _ANY_ID, "token": "tba_x"}
    names |= dict.fromkeys(("user_code", "session_id", "artifact_id", "device_id", "key_id"), _ANY_ID)
    case = data.draw(generated[path][method].as_strategy(path_parameters=names))
    if "{task_id}" in path:
        names["task_id"] = (await client.post(tasks_url, json={"title": "Target"})).json()["id"]
    body = case.body if isinstance(case.body, dict | list) else None

    response = await client.request(method, path.format(**names), params=case.query, json=body)

    assert response.status_code != 500
    description.check(response)
