"""The folders of a run are hidden from followers."""

from pathlib import Path
from typing import Any

from app.agents.masking import FolderHider
from tests.agents.conftest import Runner


async def test_followers_see_paths_of_the_workspace_only(runner: Runner) -> None:
    """Followers used to see where on the worker's disk a run has its folder."""
    outcome = await runner.run(
        "```sh\npwd; echo $HOME; echo $PWD/file0.txt\n```\n```file path=new.txt\nx\n```"
    )

    logged = str(outcome.entries)
    assert str(runner.context.files.root) not in logged
    assert ".\\n~\\nfile0.txt" in logged


def test_real_and_given_names_are_both_relative(tmp_path: Path) -> None:
    real, given = tmp_path / "real", tmp_path / "given"
    (real / "work").mkdir(parents=True)
    given.symlink_to(real)
    hider = FolderHider(work=given / "work", home=given / "home", folder=given)

    value: dict[str, Any] = {
        "path": f"{real}/work/a.py",
        "text": [f"in {given}/work: {given}/home/.x"],
        "line": 1,
    }

    assert hider.value(value) == {"path": "a.py", "text": ["in .: ~/.x"], "line": 1}
