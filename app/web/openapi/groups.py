"""The texts of the published description: the guide, the tags, and the parameters.

Data and prose only; `document.py` puts them into the document.
"""

from typing import Any

from app.api_limits import BODY_BYTES, PAGE_DEFAULT, PAGE_MAXIMUM

SUMMARY = "Tasks done by coding agents: create, run, follow, collect the result."

DESCRIPTION = f"""\
Taskbeacon keeps *tasks* for code repositories and has coding agents perform them.

1. **Create** a task: what is to be done (`description`), and in which `repository`.
2. **Run** it: the run is queued, a worker clones the repository and lets an agent work on it in a sandbox.
3. **Follow** it: the run's `stream` tells live what happens; `latest_run` of the task shows `status` and `log_url`.
4. **Steer** it with `command`: send messages, answer what its agent asks (`state.waiting_for`), cancel or close.
5. **Collect** the result: `output`, the patch among the run's `artifacts`, and the pushed branch.

The built-in agent `runbook` needs no model: it performs the fenced blocks of the description, step by step. Open
*Create a task* below, pick the example "A runbook task", execute it, and run the task that you get.

## Authentication

Send a personal API key as `Authorization: Bearer phx_…`; use the **Authorize** button here. Where no header can be
set, the JSON field or the query parameter `personal_api_key` works too. A key has scopes; `write` implies `read`, and
`*` allows everything. Each operation names the scope it needs. A key may be limited to projects or organizations.

`@current` in place of a project id stands for the caller's current project.

## Errors

Every failure answers `{{"type": …, "code": …, "detail": …, "attr": …}}`: `code` is for programs, `detail` for people,
and `attr` names the field at fault (nested keys joined by `__`) or is null. Only the first error is reported. What the
caller may not see does not exist: it answers 404, not 403. A missing or unknown key answers 403 on the routes of a
project, 401 elsewhere. Exceptions to the shape: what cannot be done to a run or a file may answer with `detail` or with
`error` alone; the operations concerned show it.

## Lists

Lists take `limit` (default {PAGE_DEFAULT}, at most {PAGE_MAXIMUM}) and `offset`, are ordered newest first, and answer
`count`, `next`, `previous` and `results`. `next` and `previous` are complete URLs that keep all other parameters.

## Rate limits

Answers to a key carry `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds) of the request limit that ends
first. Beyond it requests answer 429 with `Retry-After`.

## Conventions

A trailing slash is optional on every path and changes nothing. Bodies are JSON of at most
{BODY_BYTES // 2**20} MB; unknown and read-only keys are ignored, an empty body is `{{}}`. Times are UTC in
ISO 8601 with `Z`. Every answer carries `X-Request-Id`, which the service's logs know too.
"""

CONTACT = {"name": "The operators of this server"}

TAGS = [
    {"name": "tasks", "description": "What is to be done: create, find, change, put away."},
    {
        "name": "runs",
        "description": "One performance of a task by an agent: start it, follow it, read its result.",
    },
    {
        "name": "artifacts",
        "description": "Files that go into a run and files that come out of it.",
    },
    {
        "name": "sandbox environments",
        "description": "What agents reach over the network and which variables they get; runs name one.",
    },
    {
        "name": "inbox",
        "description": "What agents ask of people: find it over all projects, answer it, put it off.",
    },
    {
        "name": "push",
        "description": "Devices, presence, and pushes: who is told when a run ends, and why or why not.",
    },
    {
        "name": "events",
        "description": "What happened, oldest first: to catch up with, or to follow.",
    },
    {
        "name": "webhooks",
        "description": "Events sent to a server of yours, signed (Standard Webhooks), with a log of every attempt.",
    },
    {"name": "projects", "description": "Where tasks live, and who sees them."},
    {"name": "console", "description": "Sign browsers in to the console, and out."},
    {"name": "users", "description": "Whose key this is."},
    {
        "name": "operations",
        "description": "Health and metrics, for those who run the service. No key needed.",
    },
]

SECURITY_SCHEME_NAME = "personalApiKey"
SECURITY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "phx_…",
    "description": "A personal API key. `taskbeacon admin create-key` makes one; `make run` prints one.",
}

RUN_SCHEME_NAME = "runToken"
RUN_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The token of one run, as its `connection_token` answers it.",
}

CONSOLE_SCHEME_NAME = "consoleSession"
CONSOLE_SCHEME = {
    "type": "apiKey",
    "in": "cookie",
    "name": "__Host-taskbeacon",
    "description": "The cookie of the console; it takes the place of a key in every operation.",
}

_UUID = {"type": "string", "format": "uuid"}


def _parameter(
    name: str, place: str, description: str, schema: dict[str, Any], **more: Any
) -> dict[str, Any]:
    required = place == "path"
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": schema,
        **more,
    }


# Read by dependencies, so that FastAPI does not see them.
PARAMETERS: dict[str, dict[str, Any]] = {
    parameter["name"]: parameter
    for parameter in (
        _parameter(
            "project_id",
            "path",
            "Id of the project, or `@current`: the caller's current project.",
            {"type": "string", "pattern": "^([0-9]+|@current)$"},
            example="@current",
        ),
        _parameter(
            "task_id", "path", "Id of the task. One that the caller does not see is not found.", _UUID
        ),
        _parameter("run_id", "path", "Id of a run of that task.", _UUID),
        _parameter(
            "environment_id",
            "path",
            "Id of the sandbox environment. Another member's private one is not found.",
            _UUID,
        ),
        _parameter(
            "endpoint_id",
            "path",
            "Id of a webhook endpoint of the caller. Those of others are not found.",
            _UUID,
        ),
        _parameter(
            "question_id", "path", "Id of the question. One that the caller does not see is not found.", _UUID
        ),
        _parameter("token", "path", "The action token of a notification.", {"type": "string"}),
        _parameter("session_id", "path", "Id of a console session of the caller.", _UUID),
        _parameter("delivery_id", "path", "Id of a delivery to that endpoint.", _UUID),
        _parameter(
            "limit",
            "query",
            f"Page size. More than {PAGE_MAXIMUM} is {PAGE_MAXIMUM}; what is no positive number is the default.",
            {"type": "integer", "minimum": 1, "maximum": PAGE_MAXIMUM, "default": PAGE_DEFAULT},
        ),
        _parameter(
            "offset",
            "query",
            "How many to skip. What is no positive number is 0.",
            {"type": "integer", "minimum": 0, "default": 0},
        ),
        _parameter(
            "Idempotency-Key",
            "header",
            "A text of yours, new for each wish. The same request with the same key is performed once and answered "
            "alike for 24 hours (then with `Idempotent-Replayed: true`).",
            {"type": "string", "maxLength": 255},
        ),
    )
}
