"""Every route of the contract as data, for the rules that hold on all of them."""

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from app.enums import Scope

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint of the API, a body that it accepts, and the status of its response to that."""

    method: str
    path: str
    scope: Scope
    status: int = 200
    body: JSON | None = None
    query: str = ""

    def url(self, *, project: object, task: object = "", run: object = "", slash: str = "") -> str:
        path = self.path.format(
            project=project,
            task=task,
            run=run,
            environment=_ANY_ID,
            set=_ANY_ID,
            endpoint=_ANY_ID,
            delivery=_ANY_ID,
            question=_ANY_ID,
            session=_ANY_ID,
            device=_ANY_ID,
            key=_ANY_ID,
            user_code="BCDF-GHJK",
            artifact=_ANY_ID,
        )
        return f"{path}{slash}?{self.query}" if self.query else f"{path}{slash}"

    @override
    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_TASKS = "/api/projects/{project}/tasks"
_TASK = _TASKS + "/{task}"
_RUN = _TASK + "/runs/{run}"
_ENVIRONMENTS = "/api/projects/{project}/sandbox_environments"
_ACTIVITY = "/api/projects/{project}/task_activity"
_EVENTS = "/api/projects/{project}/events"
_EVENT_TYPES = "/api/projects/{project}/webhook_event_types"
_SETS = "/api/projects/{project}/check_sets"
_QUESTION = "/api/projects/{project}/questions/{question}"
_ENDPOINTS = "/api/projects/{project}/webhook_endpoints"
_HOOK: JSON = {"url": "https://hooks.example.com/", "event_types": ["*"]}
_ANY_ID = "00000000-0000-4000-8000-000000000000"

_UPDATE: JSON = {"update": {"sessionUpdate": "agent_message_chunk"}}
_CHUNK: JSON = {"type": "notification", "notification": {"method": "session/update", "params": _UPDATE}}

# Routes of one task: all of them hide what the caller does not see (contract 4).
TASK_ROUTES = (
    Route("GET", _TASK, Scope.TASK_READ),
    Route("PUT", _TASK, Scope.TASK_WRITE, body={"description": "changed"}),
    Route("PATCH", _TASK, Scope.TASK_WRITE, body={"description": "changed"}),
    Route("DELETE", _TASK, Scope.TASK_WRITE, 204),
    Route("POST", _TASK + "/run", Scope.TASK_WRITE, body={"branch": "main"}),
    Route("GET", _TASK + "/runs", Scope.TASK_READ),
    Route("POST", _TASK + "/runs", Scope.TASK_WRITE, 201, body={"branch": "main"}),
    Route("GET", _RUN, Scope.TASK_READ),
    Route("PATCH", _RUN, Scope.TASK_WRITE, body={"stage": "build"}),
    Route("PATCH", _RUN + "/set_output", Scope.TASK_WRITE, body={"output": {"answer": 42}}),
    Route("POST", _RUN + "/start", Scope.TASK_WRITE, body={"pending_user_message": "go"}),
    Route("GET", _RUN + "/connection_token", Scope.TASK_WRITE),
    Route("GET", _RUN + "/stream_token", Scope.TASK_READ),
    # The run is the cloud's already.
    Route("POST", _RUN + "/resume_in_cloud", Scope.TASK_WRITE, 400),
    Route("POST", _RUN + "/cancel", Scope.TASK_WRITE, 202, body={"reason": "enough"}),
    # Published to followers, and left out of the log, because these tests have no store.
    Route("POST", _RUN + "/append_log", Scope.TASK_WRITE, body={"entries": [_CHUNK]}),
    Route("GET", _RUN + "/diff", Scope.TASK_READ),
    Route("GET", _RUN + "/diff/file", Scope.TASK_READ, query="path=README.md"),
    Route("GET", _RUN + "/review", Scope.TASK_READ),
    Route("PUT", _RUN + "/review", Scope.TASK_WRITE, body={"version": 0, "viewed": [], "comments": []}),
    Route("GET", _RUN + "/questions", Scope.TASK_READ),
    Route("GET", _RUN + "/verification", Scope.TASK_READ),
    Route("POST", _RUN + "/verify", Scope.TASK_WRITE, 400),
    Route("POST", _RUN + "/verification/waive", Scope.TASK_WRITE, 400, body={"reason": "flaky host"}),
    Route("GET", _TASK + "/usage", Scope.TASK_READ),
    Route("GET", _TASK + "/notifications", Scope.TASK_READ),
    Route("GET", _TASK + "/mute", Scope.TASK_READ),
    Route("PUT", _TASK + "/mute", Scope.TASK_WRITE, 204),
    Route("DELETE", _TASK + "/mute", Scope.TASK_WRITE, 204),
    Route("PUT", _TASK + "/follow", Scope.TASK_WRITE, 204),
    Route("POST", _TASK + "/pin", Scope.TASK_WRITE, body={"pinned": True}),
    Route("DELETE", _TASK + "/follow", Scope.TASK_WRITE, 204),
)
PROJECT_ROUTES = (
    Route("GET", _TASKS, Scope.TASK_READ),
    Route("POST", _TASKS, Scope.TASK_WRITE, 201, body={"title": "made"}),
    Route("GET", _TASKS + "/repositories", Scope.TASK_READ),
    Route("GET", _TASKS + "/models", Scope.TASK_READ),
    Route("POST", _TASKS + "/summaries", Scope.TASK_READ, body={"ids": [_ANY_ID]}),
    Route("GET", _TASKS + "/pinned", Scope.TASK_READ),
    Route("GET", _TASKS + "/search", Scope.TASK_READ, query="q=a"),
    Route("POST", _TASKS + "/bulk", Scope.TASK_WRITE, body={"action": "delete", "ids": [_ANY_ID]}),
    Route("GET", "/api/projects/{project}/viewers", Scope.TASK_READ),
    Route("GET", "/api/projects/{project}/agents", Scope.TASK_READ),
    Route("GET", "/api/projects/{project}/limits", Scope.TASK_READ),
    Route("GET", "/api/projects/{project}/queue", Scope.TASK_READ),
    Route("GET", "/api/projects/{project}/resolve", Scope.TASK_READ, query="kind=task&ref=@latest"),
    Route("GET", _ACTIVITY, Scope.TASK_READ),
    Route("POST", _ACTIVITY + "/mark_read", Scope.TASK_WRITE, body={"activities": []}),
    Route("GET", _EVENTS, Scope.TASK_READ),
    Route("GET", _EVENT_TYPES, Scope.WEBHOOK_READ),
    Route("GET", _ENDPOINTS, Scope.WEBHOOK_READ),
    Route("POST", _ENDPOINTS, Scope.WEBHOOK_WRITE, 201, body=_HOOK),
    Route("GET", _ENVIRONMENTS, Scope.TASK_READ),
    Route("POST", _ENVIRONMENTS, Scope.TASK_WRITE, 201, body={"name": "made"}),
    Route("GET", _SETS, Scope.TASK_READ),
    *TASK_ROUTES,
)
ROUTES = (
    Route("GET", "/api/users/@me", Scope.USER_READ),
    Route("GET", "/api/users/@me/push_tokens", Scope.USER_WRITE),
    Route("GET", "/api/users/@me/api_keys", Scope.USER_READ),
    Route("GET", "/api/users/@me/inbox", Scope.TASK_READ),
    Route("GET", "/api/projects", Scope.PROJECT_READ),
    *PROJECT_ROUTES,
)

_ENDPOINT = _ENDPOINTS + "/{endpoint}"
_SET = _SETS + "/{set}"
_ENVIRONMENT = _ENVIRONMENTS + "/{environment}"
_ITEM: JSON = {"name": "a.txt", "type": "plan"}
_UPLOAD: JSON = {"artifacts": [{**_ITEM, "size": 1}]}
_ELSEWHERE: JSON = {"artifacts": [{**_ITEM, "id": _ANY_ID, "storage_path": "elsewhere"}]}
_NO_FILE: JSON = {"storage_path": "nowhere"}

# The rest: what they answer is no JSON, or takes more than a task and a run to succeed. Here they are asked
# for what comes first, and answer as they do to a caller who passed all gates.
GATED_TASK_ROUTES = (
    *TASK_ROUTES,
    Route("POST", _RUN + "/relay_message", Scope.TASK_WRITE, body={"text": "hello"}),
    Route("GET", _RUN + "/logs", Scope.TASK_READ),
    Route("GET", _RUN + "/session_logs", Scope.TASK_READ),
    # It would not end; a device that is not registered is refused behind the look-up.
    Route("GET", _RUN + "/stream", Scope.TASK_READ, 404, query=f"device_id={_ANY_ID}"),
    Route("POST", _RUN + "/command", Scope.TASK_WRITE, 400, body={"jsonrpc": "2.0", "method": "cancel"}),
    Route("POST", _RUN + "/artifacts", Scope.TASK_WRITE, body={"artifacts": [{**_ITEM, "content": "a"}]}),
    Route("POST", _RUN + "/artifacts/prepare_upload", Scope.TASK_WRITE, body=_UPLOAD),
    Route("POST", _RUN + "/artifacts/finalize_upload", Scope.TASK_WRITE, 400, body=_ELSEWHERE),
    Route("POST", _RUN + "/artifacts/presign", Scope.TASK_READ, 404, body=_NO_FILE),
    Route("POST", _RUN + "/artifacts/download", Scope.TASK_READ, 404, body=_NO_FILE),
    Route("GET", _RUN + "/artifacts/download", Scope.TASK_READ, 404, query="storage_path=nowhere"),
    Route("GET", _RUN + "/artifacts/{artifact}/download", Scope.TASK_READ, 404),
    Route("POST", _RUN + "/artifacts/dismiss", Scope.TASK_WRITE, 404, body={"artifact_ids": [_ANY_ID]}),
    Route("POST", _TASK + "/staged_artifacts/prepare_upload", Scope.TASK_WRITE, body=_UPLOAD),
    Route("POST", _TASK + "/staged_artifacts/finalize_upload", Scope.TASK_WRITE, 400, body=_ELSEWHERE),
    Route("POST", _TASK + "/presence", Scope.TASK_WRITE, 404, body={"device_id": _ANY_ID}),
    Route("DELETE", _TASK + "/presence", Scope.TASK_WRITE, 204, body={"device_id": _ANY_ID}),
    Route("POST", _TASK + "/notifications/test", Scope.USER_WRITE, 404, body={}),
)
GATED_PROJECT_ROUTES = (
    *(route for route in PROJECT_ROUTES if route not in TASK_ROUTES),
    *GATED_TASK_ROUTES,
    # It would not end; a run that is none is refused behind the gates.
    Route("GET", _EVENTS + "/stream", Scope.TASK_READ, 404, query=f"topics=run:{_ANY_ID}"),
    Route("POST", _QUESTION + "/answer", Scope.TASK_WRITE, 404, body={"option_id": "allow"}),
    Route("POST", _QUESTION + "/snooze", Scope.TASK_WRITE, 404, body={"seconds": 60}),
    Route("GET", _ENDPOINT, Scope.WEBHOOK_READ, 404),
    Route("PATCH", _ENDPOINT, Scope.WEBHOOK_WRITE, 404, body={"description": "changed"}),
    Route("DELETE", _ENDPOINT, Scope.WEBHOOK_WRITE, 404),
    Route("POST", _ENDPOINT + "/rotate_secret", Scope.WEBHOOK_WRITE, 404, body={}),
    Route("POST", _ENDPOINT + "/ping", Scope.WEBHOOK_WRITE, 404),
    Route("POST", _ENDPOINT + "/enable", Scope.WEBHOOK_WRITE, 404),
    Route("POST", _ENDPOINT + "/recover", Scope.WEBHOOK_WRITE, 404, body={"since": "2020-01-01T00:00:00Z"}),
    Route("GET", _ENDPOINT + "/deliveries", Scope.WEBHOOK_READ, 404),
    Route("GET", _ENDPOINT + "/deliveries/{delivery}", Scope.WEBHOOK_READ, 404),
    Route("POST", _ENDPOINT + "/deliveries/{delivery}/redeliver", Scope.WEBHOOK_WRITE, 404),
    Route("GET", _ENVIRONMENT, Scope.TASK_READ, 404),
    Route("PATCH", _ENVIRONMENT, Scope.TASK_WRITE, 404, body={"name": "changed"}),
    Route("DELETE", _ENVIRONMENT, Scope.TASK_WRITE, 404),
    # A second one is refused.
    Route("POST", _SETS, Scope.TASK_WRITE, 201, body={"max_repairs": 1}),
    Route("POST", _SETS + "/detect", Scope.TASK_WRITE, 202, body={"repository": "acme/shop"}),
    Route("GET", _SET, Scope.TASK_READ, 404),
    Route("PATCH", _SET, Scope.TASK_WRITE, 404, body={"max_repairs": 2}),
    Route("DELETE", _SET, Scope.TASK_WRITE, 404),
)
# Every operation that asks for a key (tests/contract/access/test_gates.py).
GATED_ROUTES = (
    *(route for route in ROUTES if route not in PROJECT_ROUTES),
    *GATED_PROJECT_ROUTES,
    Route("POST", "/api/users/@me/push_tokens", Scope.USER_WRITE, body={"token": "a", "platform": "ios"}),
    Route("POST", "/api/users/@me/push_tokens/unregister", Scope.USER_WRITE, 204, body={"token": "a"}),
    Route("DELETE", "/api/users/@me/push_tokens/{device}", Scope.USER_WRITE, 204),
    # It would not end; a place that is too long is refused behind the gates.
    Route("GET", "/api/users/@me/inbox/stream", Scope.TASK_READ, 400, query=f"last_event_id={'x' * 2001}"),
    Route(
        "POST", "/api/users/@me/api_keys", Scope.USER_WRITE, 201, body={"label": "a", "scopes": ["user:read"]}
    ),
    Route("DELETE", "/api/users/@me/api_keys/{key}", Scope.USER_WRITE, 404),
    Route("GET", "/api/console/sessions", Scope.USER_READ),
    Route("DELETE", "/api/console/sessions/{session}", Scope.USER_WRITE, 404),
    Route("GET", "/api/cli/login/{user_code}", Scope.USER_WRITE, 404),
    Route("POST", "/api/cli/login/{user_code}/approve", Scope.USER_WRITE, 400, body={"project_id": 2**62}),
    Route("POST", "/api/cli/login/{user_code}/deny", Scope.USER_WRITE, 404),
    Route("GET", "/api/push/vapid_public_key", Scope.USER_READ, 404),
    Route("GET", "/api/users/@me/notification_preferences", Scope.USER_READ),
    Route("PATCH", "/api/users/@me/notification_preferences", Scope.USER_WRITE, body={}),
)
# All of them read their bodies alike; these need no run to do so.
BODY_ROUTES = tuple(route for route in ROUTES if route.body is not None and "{run}" not in route.path)
