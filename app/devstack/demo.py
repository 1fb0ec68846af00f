"""`make demo`: the main use case on real input, in its own development stack that leaves nothing behind.

It is a client like any other: everything goes over HTTP, except the `git log` at the end.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from app.devstack.account import Account
from app.devstack.errors import INTERRUPTED, DevstackError, StopRequested
from app.devstack.live_run import create_task, follow_run
from app.devstack.processes import end_with_make
from app.devstack.repositories import DemoRepository, copy_repository
from app.devstack.stack import Plan, Stack, stop_on_signals
from app.devstack.terminal import TerminalOutput
from app.enums import QuestionKind, RunMode
from app.ids import new_hex_id
from app.json_types import JsonDict
from taskbeacon.client import AsyncClient, TaskbeaconError, Waiting
from taskbeacon.client.types import Run

_POLL_SECONDS = 0.25
_REQUEST_SECONDS = 30.0
# The settings of the environment that the demo takes over, to try out sandboxes. All others are of another stack.
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
    terminal = TerminalOutput()
    with TemporaryDirectory(prefix="taskbeacon-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
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
            except (DevstackError, TaskbeaconError, httpx.HTTPError) as error:
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
    run = asyncio.run(_watched(stack, _Demo(terminal, stack, account).run(repository.name)))
    if run["status"] != "completed":
        raise DevstackError(f"the run ended as {run['status']}: {run['error_message']}")
    terminal.line()
    branch = (run["output"] or {})["head_branch"]
    terminal.title(f"Pushed branch {branch}")
    for line in repository.show_branch(branch).splitlines():
        terminal.line(f"  {line}")
    terminal.line()
    terminal.title(f"Done in {time.monotonic() - started:.0f} s. `make run` starts a stack to stay.")


async def _watched(stack: Stack, work: Coroutine[object, None, Run]) -> Run:
    task = asyncio.create_task(work)
    while not (await asyncio.wait({task}, timeout=_POLL_SECONDS))[0]:
        stack.supervisor.pause(0)
    return await task


@dataclass(frozen=True, slots=True)
class _Demo:
    terminal: TerminalOutput
    stack: Stack
    account: Account

    async def run(self, repository: str) -> Run:
        account = self.account
        async with AsyncClient(self.stack.base_url, account.api_key, account.project_id) as client:
            phone = {"token": f"ExponentPushToken[demo-{new_hex_id()[:12]}]", "platform": "ios"}
            await client.request("POST", "/api/users/@me/push_tokens", json=phone)
            self.terminal.line()
            task = await create_task(
                client, self.terminal, title="Add a module map", description=_RUNBOOK, repository=repository
            )
            heading = self.stack.home.root / "heading.md"
            heading.write_bytes(_ATTACHMENT)
            attached = await client.artifacts.upload(task, heading)
            self.terminal.styled_line(f"  attached {attached['name']} ({attached['size']} bytes)", "dim")
            started = await client.tasks.run(
                task, mode=RunMode.INTERACTIVE.value, pending_user_artifact_ids=[attached["id"]]
            )
            run = started["latest_run"]
            assert run is not None

            async def answer(item: Waiting) -> None:
                if item.waiting_for["kind"] == QuestionKind.MESSAGE:  # the agent is done
                    await client.perform(client.core.command(run, "close", {}))
                else:
                    await self._answer(client, run["id"])

            return await follow_run(client, self.terminal, run, answer)

    async def _answer(self, client: AsyncClient, run_id: str) -> None:
        # Without the API key: the token of the push's button is enough.
        async with httpx.AsyncClient(timeout=_REQUEST_SECONDS, trust_env=False) as anyone:
            push = await self._push(anyone, run_id)
            button = next(button for button in push["actions"] if button["id"] == "allow")
            (question,) = [question async for question in client.questions.list()]
            self.terminal.line(f'  the agent asks, and a push arrives: "{question["title"]}"')
            answer = await anyone.post(f"{self.stack.base_url}/api/actions/{button['token']}")
            answer.raise_for_status()
        self.terminal.line(f'  answered "{button["title"]}" through the link of the push, without a key')

    async def _push(self, anyone: httpx.AsyncClient, run_id: str) -> JsonDict:
        sink = self.stack.environment["TASKBEACON_EXPO_BASE_URL"]
        while True:
            for push in (await anyone.get(f"{sink}/pushes")).json():
                data: JsonDict = push["data"]
                if data.get("taskRunId") == run_id and "actions" in data:
                    return data
            await asyncio.sleep(_POLL_SECONDS)  # it may take a moment to arrive
