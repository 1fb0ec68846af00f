"""The folders of a run are hidden from followers."""

from pathlib import Path
from typing import Any

from app.agents.agent_folders import AgentFolders
from app.agents.masking import FolderHider
from tests.agents.conftest import Runner


async def test_followers_see_paths_of_the_workspace_only(runner: Runner) -> None:
    """Followers used to see where on the worker's disk a run has its folder."""
    outcome = await runner.run(
        "```sh\npwd; echo $HOME; echo $PWD/file0.txt\n```\n```file path=new.txt\nx\n```"
    )

    logged = str(outcome.entries)
    assert str(runner.context.files.workspaces.root) not in logged
    assert ".\\n~\\nfile0.txt" in logged


def test_names_outside_and_inside_the_sandbox_are_both_relative() -> None:
    hider = FolderHider(AgentFolders(Path("/inside")), AgentFolders(Path("/data/run")))

    value: dict[str, Any] = {
        "path": "/inside/work/a.py",
        "text": [
            "in /data/run/work: /inside/home/.x, /data/run/work/b, /data/run/home, /inside/tmp/c, /inside/work"
        ],
        "line": 1,
    }

    assert hider.value(value) == {"path": "a.py", "text": ["in .: ~/.x, b, ~, tmp/c, ."], "line": 1}
