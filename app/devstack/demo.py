"""`make demo`: the main use case on real input, in a development stack of its own that leaves nothing behind.

It is a client like any other: everything goes over HTTP, except the `git log` at the end.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from app.devstack.errors import INTERRUPTED, DevstackError, StopRequested
from app.devstack.processes import end_with_make
from app.devstack.repositories import DemoRepository, copy_repository
from app.devstack.stack import Plan, Stack, stop_on_signals
from app.devstack.stack_client import REQUEST_SECONDS, Object, ProjectClient, send
from app.devstack.terminal import TerminalOutput
from app.enums import QuestionKind, RunMode, RunStatus
from app.ids import new_hex_id

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
    end_with_make()
    with TemporaryDirectory(prefix="taskbeacon-demo-", ignore_cleanup_errors=True) as folder:
        return _run_demo(Path(folder), then)


def _run_demo(folder: Path, then: Callable[[Stack], None] | None) -> int:
    terminal = TerminalOutput()
    repository = DemoRepository(folder / "git")
    stack = Stack(_plan(folder / "home", (folder / "git").as_uri()), terminal)
    terminal.title("Taskbeacon demo: a task on a real git repository, done by an agent")
    with stop_on_signals(stack.supervisor):
        try:
            _show(terminal, stack, repository)
            if then is not None:
                then(stack)
        except StopRequested:
            terminal.line()  # the terminal has echoed ^C
            terminal.line("Stopped before the end.")
            return INTERRUPTED
        except DevstackError as error:
            terminal.error(error)
            return 1
        finally:
            with terminal.step("Stopping everything"):
                stack.stop()
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


def _show(terminal: TerminalOutput, stack: Stack, repository: DemoRepository) -> None:
    started = time.monotonic()
    copy_repository(repository, terminal)
    account = stack.start()
    with (
        ProjectClient(
            terminal, base_url=stack.base_url, project_id=account.project_id, api_key=account.api_key
        ) as client,
        httpx.Client(timeout=REQUEST_SECONDS, trust_env=False) as anyone,
    ):
        run = _Demo(terminal, stack, client, anyone).run(repository.name)
    if run["status"] != RunStatus.COMPLETED:
        raise DevstackError(f"the run ended as {run['status']}: {run['error_message']}")
    terminal.line()
    branch = run["output"]["head_branch"]
    terminal.title(f"Pushed branch {branch}")
    for line in repository.show_branch(branch).splitlines():
        terminal.line(f"  {line}")
    terminal.line()
    terminal.title(f"Done in {time.monotonic() - started:.0f} s. `make run` starts a stack to stay.")


@dataclass(frozen=True, slots=True)
class _Demo:
    terminal: TerminalOutput
    stack: Stack
    client: ProjectClient
    anyone: httpx.Client  # without a key

    def run(self, repository: str) -> Object:
        client = self.client
        token = f"ExponentPushToken[demo-{new_hex_id()[:12]}]"
        client.request("POST", "/api/users/@me/push_tokens/", token=token, platform="ios")
        self.terminal.line()
        task = client.create_task(title="Add a module map", description=_RUNBOOK, repository=repository)
        attached = self._attach(f"tasks/{task['id']}/staged_artifacts/")
        is_answered = is_closed = False

        def look(run: Object) -> None:
            nonlocal is_answered, is_closed
            self.stack.supervisor.pause(_POLL_SECONDS)
            waiting_for = (run["state"].get("waiting_for") or {}).get("kind")
            if waiting_for == QuestionKind.MESSAGE and not is_closed:  # the agent is done
                command = f"tasks/{task['id']}/runs/{run['id']}/command/"
                client.request("POST", command, jsonrpc="2.0", id=1, method="close")
                is_closed = True
            elif waiting_for not in {None, QuestionKind.MESSAGE} and not is_answered:
                is_answered = self._answer(run["id"])

        return client.run_task(task, look, mode=RunMode.INTERACTIVE, pending_user_artifact_ids=[attached])

    def _attach(self, path: str) -> str:
        item = {"name": "heading.md", "type": "user_attachment", "content_type": "text/markdown"}
        wanted = [item | {"size": len(_ATTACHMENT)}]
        prepared = self.client.request("POST", f"{path}prepare_upload/", artifacts=wanted)["artifacts"][0]
        form = prepared["presigned_post"]
        try:  # directly to the object store
            sent = self.anyone.post(form["url"], data=form["fields"], files={"file": _ATTACHMENT})
            sent.raise_for_status()
        except httpx.HTTPError as error:
            raise DevstackError(f"the file cannot be uploaded: {error}") from error
        uploaded = [item | {"id": prepared["id"], "storage_path": prepared["storage_path"]}]
        finished = self.client.request("POST", f"{path}finalize_upload/", artifacts=uploaded)["artifacts"][0]
        self.terminal.styled_line(f"  attached {finished['name']} ({finished['size']} bytes)", "dim")
        return str(finished["id"])

    def _answer(self, run_id: str) -> bool:
        # The key is not needed: the button of the push has a token. The push may take a moment to arrive.
        sink, api = self.stack.environment["TASKBEACON_EXPO_BASE_URL"], f"{self.stack.base_url}/api"
        for push in send(self.anyone, "GET", f"{sink}/pushes"):
            if push["data"].get("taskRunId") == run_id and "actions" in push["data"]:
                button = next(button for button in push["data"]["actions"] if button["id"] == "allow")
                (question,) = self.client.request("GET", "/api/users/@me/inbox/")["results"]
                self.terminal.line(f'  the agent asks, and a push arrives: "{question["title"]}"')
                send(self.anyone, "POST", f"{api}/actions/{button['token']}")
                self.terminal.line(
                    f'  answered "{button["title"]}" through the link of the push, without a key'
                )
                return True
        return False
