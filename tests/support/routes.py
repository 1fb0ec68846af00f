"""Every route of the contract as data, for the rules that hold on all of them."""

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from app.enums import Scope

__all__ = ["BODY_ROUTES", "PROJECT_ROUTES", "ROUTES", "TASK_ROUTES", "Route"]

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint, a body that it takes and the status it then answers with."""

    method: str
    path: str
    scope: Scope
    status: int = 200
    body: JSON | None = None

    def url(self, *, project: object, task: object = "", run: object = "") -> str:
        return self.path.format(project=project, task=task, run=run)

    @override
    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_TASKS = "/api/projects/{project}/tasks"
_TASK = _TASKS + "/{task}"
_RUN = _TASK + "/runs/{run}"
_ENVIRONMENTS = "/api/projects/{project}/sandbox_environments"
_ANY_ID = "00000000-0000-4000-8000-000000000000"

_CHUNK: JSON = {
    "type": "notification",
    "notification": {
        "method": "session/update",
        "params": {"update": {"sessionUpdate": "agent_message_chunk"}},
    },
}

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
    # The run is the cloud's already.
    Route("POST", _RUN + "/resume_in_cloud", Scope.TASK_WRITE, 400),
    # Told to followers, and left out of the log, which these tests have no store for.
    Route("POST", _RUN + "/append_log", Scope.TASK_WRITE, body={"entries": [_CHUNK]}),
    Route("GET", _TASK + "/notifications", Scope.TASK_READ),
    Route("PUT", _TASK + "/mute", Scope.TASK_WRITE, 204),
    Route("DELETE", _TASK + "/mute", Scope.TASK_WRITE, 204),
)
PROJECT_ROUTES = (
    Route("GET", _TASKS, Scope.TASK_READ),
    Route("POST", _TASKS, Scope.TASK_WRITE, 201, body={"title": "made"}),
    Route("GET", _TASKS + "/repositories", Scope.TASK_READ),
    Route("POST", _TASKS + "/summaries", Scope.TASK_READ, body={"ids": [_ANY_ID]}),
    Route("GET", _ENVIRONMENTS, Scope.TASK_READ),
    Route("POST", _ENVIRONMENTS, Scope.TASK_WRITE, 201, body={"name": "made"}),
    *TASK_ROUTES,
)
ROUTES = (
    Route("GET", "/api/users/@me", Scope.USER_READ),
    Route("GET", "/api/users/@me/push_tokens", Scope.USER_WRITE),
    Route("GET", "/api/projects", Scope.PROJECT_READ),
    *PROJECT_ROUTES,
)
# All of them read their bodies alike; these need no run to do so.
BODY_ROUTES = tuple(route for route in ROUTES if route.body is not None and "{run}" not in route.path)
