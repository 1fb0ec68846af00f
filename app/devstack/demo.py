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

from app.devstack.client import REQUEST_SECONDS, ProjectClient, send
from app.devstack.errors import DevstackError, StopRequested
from app.devstack.processes import guarded
from app.devstack.repositories import DemoRepository
from app.devstack.stack import Plan, Stack, stop_on_signals
from app.devstack.terminal import TerminalOutput
from app.enums import QuestionKind, RunMode, RunStatus
from app.ids import new_hex_id

_INTERRUPTED = 130
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

```ask options=no,yes
May others read this map?
```

```sh
# Go on only with permission.
test "$TASKBEACON_ANSWER" = yes
```

```say
The module map is written, its check passes, and others may read it.
```
'''


def run_demo(then: Callable[[Stack], None] | None = None) -> int:
    """Run the demo, call `then` with its stack, stop the stack, and return an exit status. Main thread only."""
    return guarded(lambda: _run_demo(then))


def _run_demo(then: Callable[[Stack], None] | None) -> int:
    terminal = TerminalOutput()
    folder = Path(tempfile.mkdtemp(prefix="taskbeacon-demo-"))
    repository = DemoRepository(folder / "git")
    stack = Stack(_plan(folder / "home", repository.base_url), terminal)
    terminal.title("Taskbeacon demo: a task on a real git repository, done by an agent")
    with stop_on_signals(stack.supervisor):
        try:
            _Demo(terminal, stack, repository).run()
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


class _Demo:
    """One run of the demo in a stack that is not started yet."""

    def __init__(self, terminal: TerminalOutput, stack: Stack, repository: DemoRepository) -> None:
        self._terminal = terminal
        self._stack = stack
        self._repository = repository

    def run(self) -> None:
        started = time.monotonic()
        with self._terminal.step(f"Making {self._repository.base_url}/{self._repository.name}"):
            source = self._repository.create()
        self._terminal.styled_line(f"    a bare repository with {source}", "dim")
        account = self._stack.start()
        with (
            ProjectClient(
                self._terminal,
                base_url=self._stack.base_url,
                project_id=account.project_id,
                api_key=account.api_key,
            ) as client,
            httpx.Client(timeout=REQUEST_SECONDS, trust_env=False) as anyone,
        ):
            self._perform(client, anyone)
        self._terminal.line()
        self._terminal.title(
            f"Done in {time.monotonic() - started:.0f} s. `make run` starts a stack to stay."
        )

    def _perform(self, client: ProjectClient, anyone: httpx.Client) -> None:
        me = f"{self._stack.base_url}/api/users/@me"
        token = f"ExponentPushToken[demo-{new_hex_id()[:12]}]"
        client.request("POST", f"{me}/push_tokens/", token=token, platform="ios")
        self._terminal.line()
        task = client.create_task(
            title="Add a module map", description=_RUNBOOK, repository=self._repository.name
        )
        attached = self._attach(client, anyone, f"tasks/{task['id']}/staged_artifacts/")
        options: dict[str, Any] = {"mode": RunMode.INTERACTIVE, "pending_user_artifact_ids": [attached]}
        started = client.request("POST", f"tasks/{task['id']}/run/", **options)["latest_run"]
        self._terminal.title(f"Run {started['id']}")
        path = f"tasks/{task['id']}/runs/{started['id']}/"
        is_answered = is_closed = False

        def look(run: dict[str, Any]) -> None:
            nonlocal is_answered, is_closed
            self._stack.supervisor.pause(_POLL_SECONDS)
            waiting_for = (run["state"].get("waiting_for") or {}).get("kind")
            if waiting_for == QuestionKind.MESSAGE and not is_closed:  # the agent is done
                client.request("POST", f"{path}command/", jsonrpc="2.0", id=1, method="close")
                is_closed = True
            elif waiting_for not in {None, QuestionKind.MESSAGE} and not is_answered:
                is_answered = self._answer(client, anyone, run["id"])

        run = client.watch(path, look)
        client.show_result(run, path)
        if run["status"] != RunStatus.COMPLETED:
            raise DevstackError(f"the run ended as {run['status']}: {run['error_message']}")
        self._terminal.line()
        branch = run["output"]["head_branch"]
        self._terminal.title(f"Pushed branch {branch}")
        for line in self._repository.show_branch(branch).splitlines():
            self._terminal.line(f"  {line}")

    def _attach(self, client: ProjectClient, anyone: httpx.Client, path: str) -> str:
        item = {"name": "heading.md", "type": "user_attachment", "content_type": "text/markdown"}
        wanted = [item | {"size": len(_ATTACHMENT)}]
        prepared = client.request("POST", f"{path}prepare_upload/", artifacts=wanted)["artifacts"][0]
        form = prepared["presigned_post"]
        try:  # directly to the object store
            sent = anyone.post(form["url"], data=form["fields"], files={"file": _ATTACHMENT})
            sent.raise_for_status()
        except httpx.HTTPError as error:
            raise DevstackError(f"the file cannot be uploaded: {error}") from error
        uploaded = [item | {"id": prepared["id"], "storage_path": prepared["storage_path"]}]
        finished = client.request("POST", f"{path}finalize_upload/", artifacts=uploaded)["artifacts"][0]
        self._terminal.styled_line(f"  attached {finished['name']} ({finished['size']} bytes)", "dim")
        return str(finished["id"])

    def _answer(self, client: ProjectClient, anyone: httpx.Client, run_id: str) -> bool:
        # The key is not needed: the button of the push has a token. The push may take a moment to arrive.
        sink = self._stack.environment["TASKBEACON_EXPO_BASE_URL"]
        for push in send(anyone, "GET", f"{sink}/pushes"):
            if push["data"].get("taskRunId") == run_id and "actions" in push["data"]:
                button = next(button for button in push["data"]["actions"] if button["id"] == "allow")
                (question,) = client.request("GET", f"{self._stack.base_url}/api/users/@me/inbox/")["results"]
                self._terminal.line(f'  the agent asks, and a push arrives: "{question["title"]}"')
                send(anyone, "POST", f"{self._stack.base_url}/api/actions/{button['token']}")
                self._terminal.line(
                    f'  answered "{button["title"]}" through the link of the push, without a key'
                )
                return True
        return False
