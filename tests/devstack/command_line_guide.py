"""What README.md and docs/guide/command-line.md show, as a person, CI, cron, git and Python run it against a stack."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # its stubs would serve this one call

from tests.devstack.launchers import clean_environment, git
from tests.support.stand_ins.git_origins import Commit, write_origin

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs/guide/command-line.md"
_FIRST_RUN = re.compile(r"^````bash\n(.*?)^````$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```(bash|yaml|crontab|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the built-in agent does, in place of what one with a model is told.
_PROMPT = "Greet the reader.\n\n```file path=hello.txt\nHello\n```\n"
_MAKEFILE = "test:\n\tgrep -q Hello hello.txt\n"


class Guide:
    """The snippets of the page, and a person's home with a clone of `acme/shop`."""

    def __init__(self, folder: Path, dev: dict[str, Any]) -> None:
        self.snippets = [
            (language, text.replace("--agent claude", "--agent runbook"))
            for language, text in _FENCE.findall(_PAGE.read_text(encoding="utf-8"))
        ]
        self.home = folder
        self.shop = folder / "src/shop"
        self.dev = dev
        git(folder, "clone", "--quiet", str(folder.parent / "git/acme/shop"), str(self.shop))
        for name in ("prompt.md", "upgrade.md"):
            (self.shop / name).write_text(_PROMPT)
        self.environment = clean_environment(
            HOME=str(folder),
            XDG_CONFIG_HOME=str(folder / ".config"),
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@example.com",
            GIT_COMMITTER_NAME="A", GIT_COMMITTER_EMAIL="a@example.com",
        )  # fmt: skip

    def take(self, language: str) -> str:
        """Return the next snippet in a language."""
        place = next(number for number, (own, _) in enumerate(self.snippets) if own == language)
        return str(self.snippets.pop(place)[1])

    def run(
        self, *command: str, text: str = "", code: int = 0, **more: str
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command, cwd=self.shop, env=self.environment | more, input=text, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done

    def titles(self) -> list[str]:
        listed = self.run("taskbeacon", "task", "list", "--limit", "1000", "--json", "title").stdout
        return [str(row["title"]) for row in json.loads(listed)]


def write_shop(folder: Path) -> None:
    """Make the git host of the guide and of README.md in `folder/git`."""
    write_origin(folder / "git/acme/shop", [Commit("First", {"Makefile": _MAKEFILE, "hello.txt": ""})])
    write_origin(folder / "git/me/my-project", [Commit("First", {"a.txt": "one\n"})])


def run_guide(folder: Path, dev: dict[str, Any]) -> None:
    """Run every snippet of the page but those marked `no-run`, after the first run of README.md, which signs in."""
    folder.mkdir()
    guide = Guide(folder, dev)
    be_new(guide)
    be_a_person(guide)
    push_by_the_hook(guide)
    be_ci(guide)
    be_cron(guide)
    for shown in ("completed ", "prompt: completed\nupgrade: completed\n"):
        assert shown in guide.run(sys.executable, "-c", guide.take("python")).stdout
    assert guide.snippets == []


def be_new(guide: Guide) -> None:
    (commands,) = _FIRST_RUN.findall((_ROOT / "README.md").read_text(encoding="utf-8"))
    assert "--url http://127.0.0.1:8000 " in commands
    commands = commands.replace("http://127.0.0.1:8000", guide.dev["base_url"])
    (guide.home / "git").symlink_to(guide.home.parent / "git")
    done = guide.run("bash", "-euc", commands, text=guide.dev["api_key"])
    assert done.stdout.endswith("\nA hello.txt\n")
    assert (guide.home / "my-project/hello.txt").read_text() == "Hello from an agent\n"


def be_a_person(guide: Guide) -> None:
    done = guide.run("bash", "-euc", guide.take("bash"))
    assert "verdict: verified" in done.stdout
    assert (guide.shop / "hello.txt").read_text() == "Hello\n"
    assert git(guide.shop, "show", "--name-only", "--format=%s") == "Greet the reader\n\nhello.txt"


def push_by_the_hook(guide: Guide) -> None:
    """A run that is verified, and one without checks: its work stays here."""
    hook = guide.shop / ".git/hooks/pre-push"
    hook.write_text(guide.take("bash"))
    hook.chmod(0o755)
    push = ("git", "push", "--quiet", "origin", "HEAD:refs/heads/greeting")
    create = ("taskbeacon", "task", "create", "-F", "prompt.md", "--repo", ".", "--json", "--follow")
    unverified = json.loads(guide.run(*create).stdout.splitlines()[-1])
    assert unverified["verdict"] != "verified"
    guide.run("git", "config", "taskbeacon.run", "@latest")
    guide.run(*push, code=1)
    guide.run(*create, "--check", "make test")
    guide.run(*push)
    assert git(guide.shop, "ls-remote", "--heads", "origin", "greeting")


def be_ci(guide: Guide) -> None:
    """The shell steps; the expressions are GitHub's to fill in."""
    job = yaml.safe_load(guide.take("yaml"))["jobs"]["agent"]
    assert job["env"]["TASKBEACON_URL"] == "https://beacon.example"
    given = {
        "TASKBEACON_URL": guide.dev["base_url"],
        "TASKBEACON_TOKEN": guide.dev["api_key"],
        "PROMPT": _PROMPT,
        "REQUEST": "issue-7-1",
    }
    assert job["env"].keys() == given.keys()
    install, *steps = [step["run"] for step in job["steps"]]
    assert install == "pip install taskbeacon"
    for step in steps:
        guide.run(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step),
            **given,
            GITHUB_REPOSITORY="acme/shop",
            XDG_CONFIG_HOME="/nonexistent",
        )
    assert "+Hello" in (guide.shop / "changes.patch").read_text()


def be_cron(guide: Guide) -> None:
    """As cron does: by `sh`, with `%` unescaped; twice, for one task."""
    before = len(guide.titles())
    command = guide.take("crontab").strip().split(maxsplit=5)[5].replace("\\%", "%")
    first, second = (guide.run("sh", "-c", command) for _ in range(2))
    assert first.stdout == second.stdout
    assert "was used before" in second.stderr
    assert len(guide.titles()) == before + 1
