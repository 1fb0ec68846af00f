"""No secret of the service is anywhere that an agent, a reader of the run or a user of the machine could look."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.clients.storage.storage_keys import RunRef
from app.enums import RunStatus
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Workshop
from tests.support.waiting import eventually

pytestmark = pytest.mark.walls

MARK = "aardvark-7f3c"
# What a worker is started with, each recognisable.
VARIABLES = {
    "TASKBEACON_DATABASE_URL": f"postgresql://taskbeacon:{MARK}-database@db/taskbeacon",
    "TASKBEACON_REDIS_URL": f"redis://:{MARK}-redis@cache/0",
    "TASKBEACON_S3_SECRET_ACCESS_KEY": f"{MARK}-s3",
    "TASKBEACON_SECRET_KEYS": f"{MARK}-secret-key-of-32-characters-and-more",
    "TASKBEACON_EXPO_ACCESS_TOKEN": f"{MARK}-expo",
    "TASKBEACON_VAPID_PRIVATE_KEY": f"{MARK}-vapid",
    # Another adapter's: this run's agent has no business with it.
    "ANTHROPIC_API_KEY": f"{MARK}-model",
    "GITHUB_TOKEN": f"{MARK}-github",
    "AWS_SECRET_ACCESS_KEY": f"{MARK}-aws",
    "SSH_AUTH_SOCK": f"/{MARK}-ssh",
}
WAITS_AND_LOOKS = """Look around.

```sh
touch started
while [ ! -e go ]; do sleep 0.1; done
env
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'
cat /proc/[0-9]*/maps > /dev/null 2>&1
cp /proc/self/environ .taskbeacon/artifacts/environ.txt
env > environment.txt
git config --list --show-origin
git remote --verbose
find / -xdev -name '*.env' -newer /etc/hostname 2>/dev/null | head
```

```json output
{"done": true}
```
"""


def find_started(root: Path) -> Path | None:
    return next(iter(root.glob("*/work/started")), None)


def readable_of_all_processes(own: int) -> str:
    """Return every command line of the machine, and the environment of what the worker (this process) started."""
    texts = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            texts.append((entry / "cmdline").read_bytes())
            if int(entry.name) != own and own in ancestors(int(entry.name)):
                texts.append((entry / "environ").read_bytes())
        except OSError:
            continue
    return b"\n".join(texts).decode(errors="replace")


def ancestors(pid: int) -> list[int]:
    found = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            break
        found.append(pid)
    return found


async def test_no_secret_of_the_service_is_seen_during_or_after_a_run(workshop: Workshop) -> None:
    settings = workshop.context.process.settings
    marked = settings.model_copy(
        update={
            "secret_keys": (SecretStr(VARIABLES["TASKBEACON_SECRET_KEYS"]),),
            "expo_access_token": SecretStr(VARIABLES["TASKBEACON_EXPO_ACCESS_TOKEN"]),
        }
    )
    context = replace(
        workshop.context,
        process=replace(workshop.context.process, settings=marked),
        environment={**workshop.context.environment, **VARIABLES},
    )
    run = await workshop.queued_run(WAITS_AND_LOOKS, json_schema={"type": "object"})

    with capture_logs() as logged:
        performing = asyncio.create_task(execute_run(context.as_arq_context(), run_id=str(run.id)))
        root = marked.workspaces_path

        async def agent_works() -> bool:
            return find_started(root) is not None or performing.done()

        await eventually(agent_works)
        started = find_started(root)
        assert started is not None, "the agent did not start"
        seen = await asyncio.to_thread(readable_of_all_processes, os.getpid())
        assert "app.agents.runbook" in seen, "the agent's own command line must be among them"
        assert MARK not in seen
        (started.parent / "go").touch()
        await performing

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED, ended.error_message
    artifacts = {entry["name"]: await workshop.stored(entry["storage_path"]) for entry in ended.artifacts}
    assert set(artifacts) == {"environ.txt", "changes.patch"}
    log = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    assert "HOME=" in log, "the agent's own variables must be there, or nothing was looked at"
    everything = [log, *artifacts.values(), repr(logged), repr(ended.error_message)]
    everything += [orjson.dumps(value).decode() for value in (ended.state, ended.output, ended.artifacts)]
    task = await workshop.task_of(run)
    everything.append(repr((task.title, task.description)))
    for secret in (
        MARK,
        marked.s3_secret_access_key.get_secret_value() if marked.s3_secret_access_key else MARK,
    ):
        assert [text[:200] for text in everything if secret in text] == []
