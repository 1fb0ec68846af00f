"""Under bubblewrap every run sees its clone, home and temporary folder at the same paths."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from app.agents.files.attachments import OUTPUT_PATH, Attachment
from app.agents.sandbox.confinement import Sandbox
from app.agents.workspace.kept_session import KeptSession
from app.enums import SandboxKind
from tests.agents.conftest import Runner, remembering_adapter, scripted_adapter

WORK = "/run/taskbeacon/work"
fixed = pytest.mark.parametrize("sandbox", [SandboxKind.BUBBLEWRAP], indirect=True)
real = pytest.mark.parametrize("sandbox", [SandboxKind.LANDLOCK, SandboxKind.NONE], indirect=True)
WHERE = "```sh\npwd > where; echo $HOME >> where; echo $TMPDIR >> where\n```"


async def places(runner: Runner) -> list[str]:
    """Return where an agent sees its clone, home and temporary folder."""
    patch = (await runner.run(WHERE)).done.patch.decode()
    return [line[1:] for line in patch.splitlines() if line.startswith("+/")]


@fixed
async def test_two_runs_see_the_same_paths(runner: Runner, sandbox: Sandbox) -> None:
    assert sandbox.has_fixed_paths
    assert (
        await places(runner) == await places(runner) == [WORK, "/run/taskbeacon/home", "/run/taskbeacon/tmp"]
    )


@real
async def test_without_mounts_paths_are_those_of_the_run(runner: Runner, sandbox: Sandbox) -> None:
    assert not sandbox.has_fixed_paths
    first, second = await places(runner), await places(runner)

    assert all(path.startswith(str(runner.context.files.workspaces.root)) for path in first)
    assert set(first).isdisjoint(second)


@fixed
async def test_virtual_environment_of_one_clone_works_in_the_next(runner: Runner, tmp_path: Path) -> None:
    """Its scripts name the interpreter by its absolute path."""
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    python = f"{sys.base_prefix}/bin/python3"
    made = await runner.run(
        f"```sh\n{python} -m venv .venv\n.venv/bin/pip --version\n"
        "tar -cf .taskbeacon/artifacts/venv.tar .venv\nrm -r .venv\n```",
        outbox=outbox,
    )
    assert made.done

    [kept] = outbox.glob("*/venv.tar")
    attachment = Attachment("a1", "venv.tar", "application/x-tar", kept.stat().st_size, kept)
    used = await runner.run(
        "```sh\ntar -xf .taskbeacon/attachments/a1/venv.tar\n.venv/bin/pip --version > version\n"
        ". .venv/bin/activate\ncommand -v pip >> version\nrm -r .venv\n```",
        attachments=(attachment,),
    )

    assert f"+{WORK}/.venv/bin/pip" in used.done.patch.decode().splitlines()


@fixed
async def test_agent_is_given_and_gives_paths_as_it_sees_them(runner: Runner, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("hello")
    attachment = Attachment(id="a1", name="note.txt", content_type="text/plain", size=5, path=given)
    file, attached = f"{WORK}/new/file.txt", f"{WORK}/.taskbeacon/attachments/a1/note.txt"
    asked = [
        {"method": "fs/write_text_file", "params": {"path": file, "content": "x"}},
        {"method": "fs/read_text_file", "params": {"path": file}},
        {"method": "fs/read_text_file", "params": {"path": attached}},
        {"method": "terminal/create", "params": {"command": "pwd", "cwd": f"{WORK}/new"}},
        {"method": "terminal/wait_for_exit", "params": {"terminalId": "$terminal"}},
        {"method": "terminal/output", "params": {"terminalId": "$terminal"}},
        {"method": "fs/read_text_file", "params": {"path": f"{WORK}/../repository/HEAD"}},
    ]

    outcome = await runner.run(
        json.dumps(asked), adapter=scripted_adapter("requests"), attachments=(attachment,)
    )

    written, *read, _, _, shown, refused = json.loads(outcome.done.summary)
    assert written == {}
    assert [answer["content"] for answer in read] == ["x", "hello"]
    assert shown["output"] == f"{WORK}/new\n"
    assert "leads out of the workspace" in refused["data"]["details"]
    echoed = await runner.run("Read it.", adapter=scripted_adapter("echo"), attachments=(attachment,))
    assert json.loads(echoed.done.summary)[1]["uri"] == f"file://{attached}"


@fixed
async def test_output_may_be_a_link_to_a_file_of_the_clone(runner: Runner) -> None:
    outcome = await runner.run(
        f"```sh\necho 7 > seven.json && ln -s $PWD/seven.json {OUTPUT_PATH}\n```",
        json_schema={"type": "integer"},
    )

    assert outcome.done.structured == 7


@fixed
async def test_conversation_that_was_kept_at_another_path_goes_on(runner: Runner) -> None:
    """Those of Landlock, and of the releases before, name the folder of their run."""
    old: dict[str, Any] = {"prompt": ["Begin."], "cwd": "/data/runs/1-a/work", "knows": None}
    name = ".remembering/sessions/-data-runs-1-a-work/s.jsonl"
    kept = KeptSession(
        adapter="remembering", session_id="s", folder="/data/runs/1-a", files={name: json.dumps(old) + "\n"}
    )

    outcome = await runner.run(
        "Begin.", adapter=remembering_adapter("load"), session=kept, follow_up="Go on."
    )

    then, now = map(json.loads, outcome.done.summary.splitlines())
    assert (then["cwd"], now["cwd"]) == (WORK, WORK)
    assert (then["prompt"], now["prompt"]) == (["Begin."], ["Go on."])
