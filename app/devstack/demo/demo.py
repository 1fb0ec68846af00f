"""`make demo`: the main use case on real input, in a development stack of its own that leaves nothing behind.

It is a client like any other: everything goes over HTTP, except the `git log` at the end.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from app.devstack.api_client import (
    REQUEST_SECONDS,
    create_task,
    failures_as_devstack_errors,
    project_client,
    read_patch,
    request,
    show_patch,
    show_progress,
    show_result,
)
from app.devstack.demo.push import Phone, show_notification
from app.devstack.demo.question import ASKING, PushedQuestion, find_pushed
from app.devstack.demo.repository import DemoRepository
from app.devstack.demo.webhook import HookedSink
from app.devstack.errors import DevstackError, StopRequested
from app.devstack.run_log import RunLog
from app.devstack.stack import Plan, Stack, stop_on_signals
from app.devstack.terminal import TerminalOutput
from app.enums import TERMINAL_STATUSES, NotificationKind, QuestionKind, RunMode, RunStatus

_INTERRUPTED = 130
_RUN_SECONDS = 180.0
_POLL_SECONDS = 0.25
# The only settings of the environment that apply: to try out sandboxes. All others belong to another stack.
_PASSED_ON = frozenset({"TASKBEACON_AGENT_SANDBOX", "TASKBEACON_AGENT_NETWORK"})

_ATTACHMENT = b"# The modules of this service\n"
_RUNBOOK = '''\
Add a map of the modules to the documentation, and a check that keeps it whole.

```say
I will write docs/module-map.md from the modules' own docstrings, below the heading that was attached.
```

```python
# Describe each module by the first line of its docstring.
import ast
from pathlib import Path

rows = []
for path in sorted(Path("app").rglob("*.py")):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if docstring:
        rows.append(f"| `{path}` | {docstring.splitlines()[0]} |")
Path("docs").mkdir(exist_ok=True)
attached = list(Path(".taskbeacon/attachments").glob("*/heading.md"))
heading = attached[0].read_text(encoding="utf-8").strip() if attached else "# Modules"
text = "\\n".join([heading, "", "| module | purpose |", "|---|---|", *rows, ""])
Path("docs/module-map.md").write_text(text, encoding="utf-8")
print(f"{len(rows)} modules described")
```

```file path=docs/check_module_map.py
"""Fails when docs/module-map.md misses a module that has a docstring."""

import ast
import sys
from pathlib import Path

MAP = Path("docs/module-map.md").read_text(encoding="utf-8")
documented = [
    path
    for path in sorted(Path("app").rglob("*.py"))
    if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
]
missing = [str(path) for path in documented if f"`{path}`" not in MAP]
print(f"{len(documented)} modules checked, {len(missing)} missing")
sys.exit(bool(missing))
```

```sh timeout=60
# Test what was written.
python3 docs/check_module_map.py
git status --short
cp docs/module-map.md .taskbeacon/artifacts/
```

```say
The module map is written, and its check passes.
```
'''


def run_demo(then: Callable[[Stack], None] | None = None) -> int:
    """Run the demo in a new development stack, stop the stack, and return an exit status."""
    terminal = TerminalOutput()
    folder = Path(tempfile.mkdtemp(prefix="taskbeacon-demo-"))
    repository = DemoRepository(folder / "git")
    stack = Stack(_plan(folder / "home", repository.base_url), terminal)
    stack.supervisor.remove_if_killed(folder)
    terminal.title("Taskbeacon demo: a task on a real git repository, done by an agent")
    with stop_on_signals(stack.supervisor):
        try:
            _demonstrate(terminal, stack, repository)
            if then is not None:
                then(stack)
        except StopRequested:
            terminal.line()  # the terminal has echoed ^C
            terminal.line("Stopped before the end.")
            return _INTERRUPTED
        except DevstackError as error:
            terminal.error(error)
            return 1
        finally:
            with terminal.step("Stopping everything"):
                stack.stop()
                shutil.rmtree(folder, ignore_errors=True)
    return 0


def _plan(home: Path, git_base_url: str) -> Plan:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TASKBEACON_") or name in _PASSED_ON
    }
    environment |= {
        "TASKBEACON_GIT_BASE_URL": git_base_url,
        "TASKBEACON_THROTTLE_PER_MINUTE": "0",
        "TASKBEACON_THROTTLE_PER_HOUR": "0",
        "TASKBEACON_WORKER_DRAIN_SECONDS": "1",
    }
    return Plan(home=home, environment=environment, durable=False)


def _demonstrate(terminal: TerminalOutput, stack: Stack, repository: DemoRepository) -> None:
    started = time.monotonic()
    with terminal.step(f"Making {repository.base_url}/{repository.name}"):
        source = repository.create()
    terminal.styled_line(f"    a bare repository with {source}", "dim")
    account = stack.start()
    with (
        project_client(stack.base_url, account.project_id, account.api_key) as client,
        httpx.Client(timeout=REQUEST_SECONDS, trust_env=False) as plain,
    ):
        terminal.line()
        task = create_task(
            terminal, client, title="Add a module map", description=_RUNBOOK, repository=repository.name
        )
        attached = _attach(terminal, client, plain, f"tasks/{task['id']}/staged_artifacts/")
        hook = HookedSink(client, plain, stack.environment["TASKBEACON_EXPO_BASE_URL"])
        phone = Phone(client, stack.base_url, task["id"])
        phone.show_task()
        terminal.styled_line("  a phone shows the task", "dim")
        run = request(client, "POST", f"tasks/{task['id']}/run/", pending_user_artifact_ids=[attached])[
            "latest_run"
        ]
        terminal.title(f"Run {run['id']}")
        run = _follow(terminal, stack, client, plain, phone, f"tasks/{task['id']}/runs/{run['id']}/")
        show_result(terminal, run)
        if run["status"] != RunStatus.COMPLETED:
            raise DevstackError(f"the run ended as {run['status']}: {run['error_message']}")
        patch = read_patch(client, plain, run, f"tasks/{task['id']}/runs/{run['id']}/")
        if patch is None:
            raise DevstackError("the run left no patch")
        show_patch(terminal, *patch)
        _show_branch(terminal, repository, run["output"]["head_branch"])
        _show_pushes(terminal, stack, client, plain, phone, run)
        _show_webhook(terminal, stack, hook, run["id"])
    terminal.line()
    terminal.title(f"Done in {time.monotonic() - started:.0f} s. `make run` starts a stack to stay.")


def _attach(terminal: TerminalOutput, client: httpx.Client, plain: httpx.Client, path: str) -> str:
    item = {"name": "heading.md", "type": "user_attachment", "content_type": "text/markdown"}
    wanted = [item | {"size": len(_ATTACHMENT)}]
    prepared = request(client, "POST", f"{path}prepare_upload/", artifacts=wanted)["artifacts"][0]
    form = prepared["presigned_post"]
    with failures_as_devstack_errors("the file cannot be uploaded"):
        sent = plain.post(form["url"], data=form["fields"], files={"file": _ATTACHMENT})
        sent.raise_for_status()
    uploaded = [item | {"id": prepared["id"], "storage_path": prepared["storage_path"]}]
    finished = request(client, "POST", f"{path}finalize_upload/", artifacts=uploaded)["artifacts"][0]
    terminal.styled_line(f"  attached {finished['name']} ({finished['size']} bytes)", "dim")
    return str(finished["id"])


def _follow(
    terminal: TerminalOutput, stack: Stack, client: httpx.Client, plain: httpx.Client, phone: Phone, path: str
) -> dict[str, Any]:
    log = RunLog(terminal)
    run: dict[str, Any] = {}

    def has_ended() -> bool:
        phone.show_task()
        run.update(show_progress(log, client, plain, path))
        return run["status"] in TERMINAL_STATUSES

    stack.supervisor.wait(has_ended, what="the run's end", timeout=_RUN_SECONDS, every=_POLL_SECONDS)
    return run


def _show_branch(terminal: TerminalOutput, repository: DemoRepository, branch: str) -> None:
    terminal.line()
    terminal.title(f"Pushed branch {branch}")
    for line in repository.show_branch(branch).splitlines():
        terminal.line(f"  {line}")


def _show_pushes(
    terminal: TerminalOutput,
    stack: Stack,
    client: httpx.Client,
    plain: httpx.Client,
    phone: Phone,
    watched_run: dict[str, Any],
) -> None:
    terminal.line()
    terminal.title("Pushes")
    show_notification(terminal, _notification(stack, phone, watched_run["id"]))
    phone.leave_task()
    terminal.styled_line("  the phone shows the task no longer; one more run, which asks a question", "dim")
    task = f"tasks/{watched_run['task']}/"
    started = request(client, "POST", f"{task}run/", mode=RunMode.INTERACTIVE, pending_user_message=ASKING)
    run = started["latest_run"]
    _answer(terminal, stack, client, plain, run["id"])
    _close(stack, client, f"{task}runs/{run['id']}/")
    show_notification(terminal, _notification(stack, phone, run["id"]))


def _answer(
    terminal: TerminalOutput, stack: Stack, client: httpx.Client, plain: httpx.Client, run_id: str
) -> None:
    pushed: list[PushedQuestion] = []

    def has_come() -> bool:
        pushed.extend(find_pushed(plain, stack.environment["TASKBEACON_EXPO_BASE_URL"], run_id))
        return bool(pushed)

    stack.supervisor.wait(
        has_come, what="the push of the question", timeout=_RUN_SECONDS, every=_POLL_SECONDS
    )
    inbox = request(client, "GET", f"{stack.base_url}/api/users/@me/inbox/")["results"]
    title = next(question["title"] for question in inbox if question["id"] == pushed[0].id)
    terminal.line(f'  the agent asks, and a push arrives: "{title}"')
    answer = pushed[0].allow(plain, stack.base_url)
    terminal.line(f'  answered "{answer}" through the link of the push, without a key')


def _close(stack: Stack, client: httpx.Client, path: str) -> None:
    run: dict[str, Any] = {}

    def has_ended() -> bool:
        run.update(request(client, "GET", path))
        return run["status"] in TERMINAL_STATUSES

    def takes_messages() -> bool:
        ended = has_ended()
        return ended or (run["state"].get("waiting_for") or {}).get("kind") == QuestionKind.MESSAGE

    stack.supervisor.wait(takes_messages, what="the agent's turn", timeout=_RUN_SECONDS, every=_POLL_SECONDS)
    request(client, "POST", f"{path}command/", jsonrpc="2.0", id=1, method="close")
    stack.supervisor.wait(has_ended, what="the run's end", timeout=_RUN_SECONDS, every=_POLL_SECONDS)
    if run["status"] != RunStatus.COMPLETED:
        raise DevstackError(f"the run that asked ended as {run['status']}: {run['error_message']}")


def _show_webhook(terminal: TerminalOutput, stack: Stack, hook: HookedSink, run_id: str) -> None:
    message: dict[str, Any] = {}

    def has_come() -> bool:
        message.update(hook.fetch_verified(run_id))
        return bool(message)

    stack.supervisor.wait(has_come, what="the webhook", timeout=_RUN_SECONDS, every=_POLL_SECONDS)
    terminal.line()
    terminal.title("Webhook")
    terminal.line(f"  {message['type']}, {message['id']}: delivered, signature verified")


def _notification(stack: Stack, phone: Phone, run_id: str) -> dict[str, Any]:
    row: dict[str, Any] = {}

    def is_decided() -> bool:
        row.update(phone.notification(run_id, NotificationKind.COMPLETED))
        return bool(row)

    stack.supervisor.wait(is_decided, what="the push", timeout=_RUN_SECONDS, every=_POLL_SECONDS)
    return row
