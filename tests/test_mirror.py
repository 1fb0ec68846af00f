"""The tests of a module have its name, so that a reader and `make mutants` find them."""

import ast
from pathlib import Path

from checks.mutants import find_tests

_ROOT = Path(__file__).parents[1]
_BRANCHES = (ast.If, ast.Match, ast.Try, ast.While)

# Modules that branch and have no test of their name, by the test that covers them.
COVERED = {
    # Seen by what programs in the sandbox, or agents that break the rules, can do.
    "agents/check_execution/test_commit_verification.py": "check_context clone sandboxed_commands supervisor",
    "agents/execution/test_run_steps.py": "conversation_step",
    "agents/git/test_run_repository.py": "askpass git_command work_bundle",
    "agents/runbook/test_connection.py": "runbook/__main__ programs",
    "agents/sandbox/test_confinement.py": "entry",
    "agents/session/test_agent_session.py": "acp_client",
    "agents/tools/test_server.py": "mcp_protocol",
    "sandbox/test_attempts.py": "sandbox_check sandbox_probe seccomp",
    "worker/run/test_steering.py": "prompt_content",
    # Seen by what routes answer: a rule for every route, or a step within one.
    "contract/access/test_authentication.py": "auth",
    "contract/access/test_gates.py": "principal scopes task_bodies",
    "contract/console/test_console_sessions.py": "cookie",
    "contract/globals/test_errors.py": "web/errors",
    "contract/globals/test_idempotency.py": "services/idempotency web/idempotency",
    "contract/globals/test_not_modified.py": "entity_tags",
    "contract/globals/test_routing.py": "dependencies",
    "contract/globals/test_shapes.py": "views/runs",
    "contract/inbox/test_actions.py": "action_route",
    "contract/inbox/test_listing.py": "follows",
    "contract/streams/test_run_streams.py": "sse",
    "contract/tasks/test_activity.py": "latest_run",
    "contract/tasks/test_profile_and_summaries.py": "accounts/users task_reading",
    "test_openapi.py": "openapi/document openapi/errors",
    # Seen by what pushes are sent, and when.
    "contract/pushes/test_deferred.py": "notice_reading",
    "contract/pushes/test_notifications.py": "push_history push_trial",
    "contract/pushes/test_notify_user.py": "cooldowns",
    "contract/pushes/test_push_messages.py": "badges",
    "contract/pushes/test_quiet_hours.py": "digests notification_preferences",
    "worker/jobs/test_fetch_receipts.py": "push_receipts",
    # Parts of a longer way, which the test goes as a whole.
    "cli/test_webhooks.py": "webhook_administration",
    "concurrency/runs/test_run_lifecycle.py": "status_changes",
    "services/events/test_event_reading.py": "run_ledger",
    "worker/jobs/test_execute_run.py": "run_spec run_executor",
    "worker/test_main.py": "start_scheduled",
}
# Tests of a theme rather than of a module, whose own tests stand beside them.
THEMES = {
    "clients/test_ledger_wakes.py": "one of the listeners of wakes.py",
    "clients/test_sentinel_urls.py": "one form of the URL that redis.py takes",
    "services/streams/test_followed_ledger.py": "ledger_of of topic_streams.py with every visibility",
}


def test_module_that_branches_has_a_test_of_its_name_or_is_listed() -> None:
    listed = [f"/{module}.py" for modules in COVERED.values() for module in modules.split()]
    unnamed = [
        f"/{path}" for path in _branching("agents", "services", "web", "worker") if not find_tests(path)
    ]

    # Those that have a test by now, or are gone, are listed no more.
    assert sorted(listed) == sorted(_end(path, listed) for path in unnamed)
    assert [test for test in COVERED if not (_ROOT / "tests" / test).is_file()] == []


def _branching(*layers: str) -> list[str]:
    """Return the modules of layers that branch, as paths relative to the checkout."""
    return [
        path.relative_to(_ROOT).as_posix()
        for layer in layers
        for path in (_ROOT / "app" / layer).rglob("*.py")
        if any(isinstance(node, _BRANCHES) for node in ast.walk(ast.parse(path.read_text())))
    ]


def _end(path: str, ends: list[str]) -> str:
    """Return the end of a path that is listed, else the path."""
    return next((end for end in ends if path.endswith(end)), path)


def test_tests_of_clients_schemas_and_services_mirror_their_modules() -> None:
    tests = [
        path.relative_to(_ROOT / "tests")
        for layer in ("clients", "schemas", "services")
        for path in (_ROOT / "tests" / layer).rglob("test_*.py")
    ]
    of_no_module = {
        str(test) for test in tests if not (_ROOT / "app" / test.with_name(test.name[5:])).is_file()
    }

    assert of_no_module == THEMES.keys()
    assert tests


def test_every_client_has_a_test_of_its_name() -> None:
    clients = [path.relative_to(_ROOT / "app") for path in (_ROOT / "app/clients").rglob("*_client.py")]
    tests = [_ROOT / "tests" / client.with_name(f"test_{client.name}") for client in clients]

    assert [test for test in tests if not test.is_file()] == []
    assert tests
