"""Texts of the published OpenAPI document: introduction, tags, security schemes, shared parameters, and a body."""

from app.api_limits import BODY_BYTES, PAGE_DEFAULT, PAGE_MAXIMUM
from app.json_types import JsonDict

SUMMARY = "Run coding agents on tasks: create a task, run it, follow it live, collect the result."

DESCRIPTION = f"""\
Taskbeacon stores *tasks* for code repositories and lets coding agents work on them.

1. **Create** a task: the instructions (`description`) and the `repository`.
2. **Run** it: the run is queued. A worker claims it, clones the repository and starts an agent in a sandbox.
3. **Follow** it: the run's `stream` sends its events live. The task's `latest_run` shows `status` and
   `log_url`.
4. **Steer** it with `command`: send messages, answer the agent's questions (`state.waiting_for`), cancel or
   close the run.
5. **Collect** the result: `output`, the patch among the run's `artifacts`, and the pushed branch.

The built-in agent `runbook` needs no model: it executes the fenced code blocks of the description in order.
To try it, open *Create a task* below, choose the example "A runbook task", send it, and run the created task.

## Authentication

Send a personal API key as `Authorization: Bearer phx_…`; here, use the **Authorize** button. If you cannot
set headers, send the key as the JSON field or the query parameter `personal_api_key`. A key has scopes:
`write` implies `read`, and `*` allows everything. Each operation names the scope that it needs. A key can be
limited to projects or organizations.

`@current` in place of a project id means the caller's current project.

## Errors

Every error response is `{{"type": …, "code": …, "detail": …, "attr": …}}`: `code` is for programs, `detail`
for people, and `attr` names the invalid field (nested keys joined by `__`) or is null. Only the first error
is reported. A resource that the caller may not see is answered with 404, not 403. A missing or unknown key is
answered with 403 on paths below a project, and with 401 elsewhere. One exception: some operations on runs and
files answer with `detail` or `error` alone; their descriptions show it.

## Lists

Lists take `limit` (default {PAGE_DEFAULT}, maximum {PAGE_MAXIMUM}) and `offset`. They are sorted newest
first unless the operation says otherwise, and return `count`, `next`, `previous` and `results`. `next` and
`previous` are complete URLs that keep all other parameters.

## Polling

Tasks, runs, their lists and the changes of a run have an `ETag`. Send it in `If-None-Match`: while the answer is the
same, it is 304 without a body.

## Rate limits

Responses to requests with a key carry `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (in
seconds) of the limit that will be reached first. Above the limit, requests are answered with 429 and
`Retry-After`.

## Conventions

A trailing slash in a path is optional. Request bodies are JSON of at most {BODY_BYTES // 2**20} MB; unknown
and read-only keys are ignored, and an empty body is treated as `{{}}`. Times are UTC in ISO 8601 with `Z`.
Every response carries an `X-Request-Id`, which also appears in the service's logs.
"""

CONTACT = {"name": "The operators of this server"}

TAGS = [
    {"name": "tasks", "description": "Create, list, search, update and delete tasks."},
    {
        "name": "runs",
        "description": "Start an attempt of an agent at a task, follow it live, steer it, and read its result.",
    },
    {"name": "artifacts", "description": "Input files and output files of runs."},
    {
        "name": "check sets",
        "description": "How the work of runs is set up and checked before it counts as verified.",
    },
    {
        "name": "sandbox environments",
        "description": "Network access and environment variables of agents, which a run selects by id.",
    },
    {
        "name": "inbox",
        "description": "Questions of agents to the caller, across all projects: list, answer and snooze them.",
    },
    {
        "name": "push",
        "description": "Push notifications: devices, presence and preferences, and why a push was or was not sent.",
    },
    {
        "name": "events",
        "description": "The history of tasks and runs: read it, oldest first, or follow it live.",
    },
    {
        "name": "webhooks",
        "description": "Events sent to your server, signed by the Standard Webhooks specification, with every delivery "
        "attempt on record.",
    },
    {"name": "projects", "description": "The projects that the caller may use."},
    {"name": "console", "description": "Sign browsers in to the console and out of it."},
    {"name": "users", "description": "The user of the key."},
    {
        "name": "operations",
        "description": "Health and metrics, for operators of the service. No key is needed.",
    },
]


def _bearer(form: str, description: str) -> dict[str, str]:
    return {"type": "http", "scheme": "bearer", "bearerFormat": form, "description": description}


SECURITY_SCHEMES = {
    "personalApiKey": _bearer(
        "phx_…", "A personal API key. `taskbeacon admin create-key` creates one; `make run` prints one."
    ),
    "runToken": _bearer("JWT", "The token of a single run, issued by its `connection_token` operation."),
    "streamToken": _bearer(
        "JWT", "The token of a single run's stream, issued by its `stream_token` operation."
    ),
    "consoleSession": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-taskbeacon",
        "description": "The session cookie of the console, which every operation accepts in place of a key.",
    },
}

_UUID = {"type": "string", "format": "uuid"}


# Place, description and schema by name. Dependencies read these parameters, so FastAPI does not see them.
_READ: dict[str, tuple[str, str, JsonDict]] = {
    "project_id": (
        "path",
        "Id of the project, or `@current`: the caller's current project.",
        {"type": "string", "pattern": "^([0-9]+|@current)$"},
    ),
    "task_id": ("path", "Id of the task. A task that the caller may not see is answered with 404.", _UUID),
    "run_id": ("path", "Id of a run of the task.", _UUID),
    "artifact_id": ("path", "Id of a file of the run.", {"type": "string"}),
    "set_id": ("path", "Id of a check set of the project.", _UUID),
    "environment_id": (
        "path",
        "Id of the sandbox environment. A private environment of another user is answered with 404.",
        _UUID,
    ),
    "endpoint_id": (
        "path",
        "Id of a webhook endpoint of the caller. An endpoint of another user is answered with 404.",
        _UUID,
    ),
    "question_id": (
        "path",
        "Id of the question. A question that the caller may not see is answered with 404.",
        _UUID,
    ),
    "token": ("path", "The action token from a notification.", {"type": "string"}),
    "session_id": ("path", "Id of a console session of the caller.", _UUID),
    "key_id": ("path", "Id of an API key of the caller.", _UUID),
    "user_code": (
        "path",
        "What the terminal shows; letters of any size, with or without the hyphen.",
        {"type": "string"},
    ),
    "delivery_id": ("path", "Id of a delivery to the endpoint.", _UUID),
    "device_id": ("path", "Id of a device of the caller.", _UUID),
    "limit": (
        "query",
        (
            f"Page size. Values above {PAGE_MAXIMUM} are reduced to it; a value that is not a positive number means "
            "the default."
        ),
        {"type": "integer", "minimum": 1, "maximum": PAGE_MAXIMUM, "default": PAGE_DEFAULT},
    ),
    "offset": (
        "query",
        "Number of results to skip. A value that is not a positive number means 0.",
        {"type": "integer", "minimum": 0, "default": 0},
    ),
    "Idempotency-Key": (
        "header",
        (
            "A unique text that you choose for each operation. A request that is repeated with the same key within 24 "
            "hours is performed once; repetitions get the first response again, with `Idempotent-Replayed: true`."
        ),
        {"type": "string", "maxLength": 255},
    ),
    "If-None-Match": (
        "header",
        "Tags of earlier answers (`ETag`). If the answer is still one of these, the response is 304 without a body.",
        {"type": "string"},
    ),
}
PARAMETERS: dict[str, JsonDict] = {
    name: {"name": name, "in": place, "required": place == "path", "description": text, "schema": schema}
    for name, (place, text, schema) in _READ.items()
}
PARAMETERS["project_id"]["example"] = "@current"

# The only request body that is not a JSON document.
EVENT_LINES: JsonDict = {
    "requestBody": {
        "description": 'JSON lines, each `{"seq": n, "event": {…}}`, numbered from 1. An empty body only asks for the '
        'position. The last line `{"type": "_posthog/stream_complete", "final_seq": n}` declares that no events '
        "follow.",
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "examples": {
                    "example1": {
                        "summary": "The first two events",
                        "value": '{"seq": 1, "event": {"type": "step"}}\n{"seq": 2, "event": {"type": "step"}}\n',
                    },
                    "example3": {
                        "summary": "The third and last event",
                        "value": '{"seq": 3, "event": {"type": "step"}}\n'
                        '{"type": "_posthog/stream_complete", "final_seq": 3}\n',
                    },
                    "example2": {"summary": "Ask for the position", "value": ""},
                },
            }
        },
    }
}
