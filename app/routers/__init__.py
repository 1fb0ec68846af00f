"""One function per endpoint: it parses, calls one service function, and answers. No queries, no rules.

The list of URLs begins here: `ROUTERS`, then the module of each.
"""

from app.routers import (
    actions,
    docs,
    events,
    github_webhook,
    health,
    inbox,
    notifications,
    presence,
    projects,
    push_tokens,
    questions,
    sandbox_environments,
    staged_artifacts,
    tasks,
    users,
    webhook_endpoints,
)
from app.routers.console import files, sessions
from app.routers.runs import artifacts, commands, diff, logs, stream

# Under another name: `runs` is the package.
from app.routers.runs import runs as whole_runs

# Matched in this order: the most requested first.
ROUTERS = (
    presence.router,
    tasks.router,
    whole_runs.router,
    logs.router,
    stream.router,
    commands.router,
    staged_artifacts.router,
    artifacts.router,
    diff.router,
    sandbox_environments.router,
    events.router,
    webhook_endpoints.router,
    push_tokens.router,
    notifications.router,
    inbox.router,
    questions.router,
    actions.api_router,
    actions.page_router,
    users.router,
    sessions.router,
    projects.router,
    github_webhook.router,
    health.router,
    files.router,
    docs.router,
)
