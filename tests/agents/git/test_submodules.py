"""Submodules: off unless asked for, and then from the repository's own host only."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.agents.git.command import Remote
from app.agents.git.fetch import Source
from app.agents.git.mirrors import Mirrors
from app.agents.git.submodules import fetch_submodules, url_below
from tests.agents.conftest import PUSH_BRANCH, GitFolder, Outcome, Runner
from tests.support.stand_ins.git_origins import Commit, submodule_files, write_origin

SEES = "```sh\nls -A lib; cat lib/lib.txt; cat lib/deep/deep.txt\n```"


@dataclass
class Hosted:
    """A host's folder of repositories, and runs in the one that has submodules."""

    folder: Path
    runner: Runner

    @property
    def base_url(self) -> str:
        return f"file://{self.folder}"

    def create(self, name: str, submodules: dict[str, str] | None = None) -> GitFolder:
        """Make the repository `acme/NAME`, which holds NAME.txt, and submodules: path to URL, as they are written."""
        hosted = self.folder / "acme"
        commits = [Commit("All files", {f"{name}.txt": f"of {name}\n"})]
        if submodules:
            commits.append(Commit("Submodules", submodule_files(hosted, submodules)))
        write_origin(hosted / name, commits)
        return GitFolder(hosted / name)

    async def run(self, prompt: str, origin: GitFolder, **changes: Any) -> Outcome:
        fields = {"clone_url": f"{self.base_url}/acme/{origin.path.name}", "submodules_below": self.base_url}
        return await self.runner.run(prompt, **fields | changes)


@pytest.fixture
def hosted(tmp_path: Path, runner: Runner) -> Hosted:
    folder = tmp_path / "host"
    folder.mkdir()
    host = Hosted(folder, runner)
    host.create("deep")
    host.create("lib", {"deep": "../deep"})
    return host


async def test_submodules_are_left_out_unless_asked_for(hosted: Hosted) -> None:
    app = hosted.create("app", {"lib": "../lib"})

    outcome = await hosted.run("```sh\nls -A lib\n```", app, submodules_below=None)

    assert outcome.done.files_changed == []
    assert "lib.txt" not in json.dumps(outcome.updates("tool_call_update"))


@pytest.mark.parametrize("depth", [0, 1])
async def test_submodules_and_theirs_are_there_when_asked_for(hosted: Hosted, depth: int) -> None:
    app = hosted.create("app", {"lib": "../lib"})

    outcome = await hosted.run(f"{SEES}\n```sh\necho new > new.txt\n```", app, clone_depth=depth)

    assert outcome.done.files_changed == ["new.txt"]
    seen = json.dumps(outcome.updates("tool_call_update"))
    assert "of lib" in seen
    assert "of deep" in seen
    assert app.git("ls-tree", PUSH_BRANCH, "lib") == app.git("ls-tree", "main", "lib")


async def test_submodules_come_beside_a_mirror_too(hosted: Hosted, tmp_path: Path) -> None:
    app = hosted.create("app", {"lib": "../lib"})
    mirrors = Mirrors(tmp_path / "mirrors", os.environ, max_bytes=2**30)

    for _ in range(2):
        outcome = await hosted.run(SEES, app, mirrors=mirrors)
        assert "of deep" in json.dumps(outcome.updates("tool_call_update")), outcome.error


@pytest.mark.parametrize(
    "elsewhere", ["file:///{folder}/private/lib", "https://192.0.2.1/acme/lib", "ext::sh/lib"]
)
async def test_submodule_of_another_place_is_not_fetched_and_that_is_logged(
    hosted: Hosted, tmp_path: Path, elsewhere: str
) -> None:
    """A repository could otherwise have the worker read its own disk, or ask servers that only it can reach."""
    private = tmp_path / "private"
    private.mkdir()
    (hosted.folder / "acme" / "lib").rename(private / "lib")
    (hosted.folder / "acme" / "lib").symlink_to(private / "lib")
    app = hosted.create("app", {"lib": elsewhere.format(folder=tmp_path)})
    (hosted.folder / "acme" / "lib").unlink()

    outcome = await hosted.run("```sh\nls -A lib\n```", app)

    assert outcome.done.files_changed == []
    assert "lib.txt" not in json.dumps(outcome.updates("tool_call_update"))
    logged = json.dumps(outcome.entries)
    assert "Without the submodule lib: it does not lie at the repository's own host" in logged


async def test_submodule_that_is_not_there_fails_the_run_by_name(hosted: Hosted) -> None:
    app = hosted.create("app", {"lib": "../lib"})
    (hosted.folder / "acme" / "lib").rename(hosted.folder / "gone")

    outcome = await hosted.run(SEES, app)

    assert f"{hosted.base_url}/acme/lib" in outcome.failed.message


async def test_work_inside_a_submodule_stays_behind_and_that_is_logged(hosted: Hosted) -> None:
    app = hosted.create("app", {"lib": "../lib"})
    commit = "git -c user.name=A -c user.email=a@example.com commit --quiet --all --message x"

    outcome = await hosted.run(f"```sh\necho x > app.txt; cd lib; echo x > lib.txt; {commit}\n```", app)

    assert outcome.done.files_changed == ["app.txt"]
    assert app.git("ls-tree", PUSH_BRANCH, "lib") == app.git("ls-tree", "main", "lib")
    assert "Commits inside the submodule lib stay behind." in json.dumps(outcome.entries)


async def test_path_through_a_link_is_refused(hosted: Hosted, tmp_path: Path) -> None:
    """Git itself makes a folder of such a path; should a link ever stand there, nothing is written through it."""
    app = hosted.create("app", {"a/lib": "../lib"})
    work, outside = tmp_path / "work", tmp_path / "outside"
    app.git("clone", "--quiet", ".", str(work))
    outside.mkdir()
    (work / "a/lib").rmdir()
    (work / "a").rmdir()
    (work / "a").symlink_to(outside)
    source = Source(remote=Remote(f"{hosted.base_url}/acme/app"))

    found = await fetch_submodules(work, source, hosted.base_url, os.environ)

    assert found.left_out == ["a/lib: its path leads through a link"]
    assert list(outside.iterdir()) == []


BASE = "https://host.test/git"
PARENT = f"{BASE}/acme/app"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("../lib", f"{BASE}/acme/lib"),
        ("../lib.git", f"{BASE}/acme/lib.git"),
        ("./lib", f"{BASE}/acme/app/lib"),
        ("../../other/lib/", f"{BASE}/other/lib"),
        (f"{BASE}/other/lib", f"{BASE}/other/lib"),
        ("git@host.test:other/lib.git", f"{BASE}/other/lib.git"),
        ("ssh://git@host.test/other/lib.git", f"{BASE}/other/lib.git"),
        ("", None),
        ("../..", None),
        ("../../../lib", None),
        ("../../../../../../../../lib", None),
        ("../../%2e%2e/secret", None),
        ("../lib/../../../secret", None),
        ("../.git", None),
        ("../-upload-pack", None),
        ("../lib?x=1", None),
        ("../lib#x", None),
        ("../lib\nx", None),
        ("https://host.test/other", None),
        ("https://host.test.evil.test/git/lib", None),
        ("https://user:password@host.test/git/lib", None),
        ("http://host.test/git/lib", None),
        ("git@evil.test:git/lib", None),
        ("ssh://git@host.test@evil.test/git/lib", None),
        ("file:///etc/lib", None),
        ("/etc/lib", None),
        ("ext::sh -c id", None),
        ("--upload-pack=id", None),
    ],
)
def test_submodules_lie_below_the_base_or_nowhere(url: str, place: str | None) -> None:
    assert url_below(BASE, url, PARENT) == place
