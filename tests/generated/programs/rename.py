"""Rename a task and an environment, switch off one kind of push, and create a run, with the generated Python client.

Arguments: base URL, key, project id, task id, environment id.
"""
# ruff: noqa: INP001 - a program beside a generated package, not a module of the tests

import sys
from uuid import UUID

from taskbeacon_client import AuthenticatedClient
from taskbeacon_client.api.push import users_notification_preferences_partial_update
from taskbeacon_client.api.runs import tasks_runs_create
from taskbeacon_client.api.sandbox_environments import sandbox_environments_partial_update
from taskbeacon_client.api.tasks import tasks_partial_update, tasks_update
from taskbeacon_client.models import (
    McpServerIn,
    McpServerInHeaders,
    McpServerInType,
    PreferencesIn,
    PreferencesOut,
    RunCreateIn,
    RunOut,
    SandboxEnvironmentOut,
    SandboxEnvironmentUpdateIn,
    TaskIn,
    TaskOut,
)

base_url, key, project, task_id, environment_id = sys.argv[1:]

with AuthenticatedClient(base_url=base_url, token=key) as client:
    for update in (tasks_partial_update, tasks_update):
        task = update.sync(project, UUID(task_id), client=client, body=TaskIn(title="Renamed"))
        assert isinstance(task, TaskOut), task
        assert task.title == "Renamed"
    environment = sandbox_environments_partial_update.sync(
        project, UUID(environment_id), client=client, body=SandboxEnvironmentUpdateIn(name="Renamed")
    )
    assert isinstance(environment, SandboxEnvironmentOut), environment
    assert environment.name == "Renamed"
    preferences = users_notification_preferences_partial_update.sync(
        client=client, body=PreferencesIn(completed=False)
    )
    assert isinstance(preferences, PreferencesOut), preferences
    assert not preferences.completed
    headers = McpServerInHeaders.from_dict({"Authorization": "Bearer secret"})
    server = McpServerIn(
        type_=McpServerInType.HTTP, name="issues", url="https://93.184.216.34/mcp", headers=headers
    )
    run = tasks_runs_create.sync(
        project, UUID(task_id), client=client, body=RunCreateIn(imported_mcp_servers=[server])
    )
    assert isinstance(run, RunOut), run
