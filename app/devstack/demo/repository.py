"""The repository that the demo works on: a bare copy of this checkout, served over `file://`."""

import os
from pathlib import Path

import app
from app.devstack.errors import DevstackError
from app.devstack.git import require_git, run_git

_GIT_SECONDS = 60
_NAME = "taskbeacon/taskbeacon"
_SOURCES = ("app", "migrations", "tests", "docs", "pyproject.toml", "README.md", "Makefile")  # outside git


class DemoRepository:
    """The bare git repository for the demo, `taskbeacon/taskbeacon`. It has one branch, `main`."""

    name = _NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / _NAME
        self._config = folder / "gitconfig"

    @property
    def base_url(self) -> str:
        """The `file://` URL that stands in for a code host: the service clones `organization/repository` below it."""
        return self._folder.as_uri()

    def create(self) -> str:
        """Create the bare repository from the last commit of the checkout to which this code belongs."""
        require_git()
        self._path.mkdir(parents=True)
        # The checkout may belong to another user, and the person's own git settings must not apply.
        self._config.write_text(
            "[safe]\n\tdirectory = *\n[user]\n\tname = Taskbeacon demo\n\temail = demo@users.noreply.localhost\n"
            "[receive]\n\tshallowUpdate = true\n",
            encoding="utf-8",
        )
        self._git("init", "--quiet", "--bare", "--initial-branch=main", ".")
        checkout = Path(app.__file__ or "").absolute().parents[1]
        if (checkout / ".git").exists() and self._succeeds(
            "-C", str(checkout), "rev-parse", "--verify", "HEAD"
        ):
            # Pushed, not cloned: a CI checkout has a detached HEAD and perhaps no branch.
            self._git("-C", str(checkout), "push", "--quiet", str(self._path), "HEAD:refs/heads/main")
            return f"the last commit of {checkout}"
        sources = [name for name in _SOURCES if (checkout / name).exists()]
        files = ("-c", "core.bare=false", "--git-dir", str(self._path), "--work-tree", str(checkout))
        self._git(*files, "-C", str(checkout), "add", "--", *sources)
        self._git(*files, "commit", "--quiet", "--message", "Copy the sources")
        return f"the files of {checkout}"

    def show_branch(self, branch: str) -> str:
        """Return a text with the commits of a branch that are not in `main`, as `git log --stat` prints them."""
        return self._git("log", "--stat", "--format=commit %h%nAuthor: %an%n%n    %s%n", f"main..{branch}")

    def _succeeds(self, *arguments: str) -> bool:
        try:
            self._git(*arguments)
        except DevstackError:
            return False
        return True

    def _git(self, *arguments: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        own = {"GIT_CONFIG_GLOBAL": str(self._config), "GIT_CONFIG_NOSYSTEM": "1"}
        failure = f"git {arguments[0]} failed"
        return run_git(
            *arguments, environment=kept | own, seconds=_GIT_SECONDS, failure=failure, cwd=self._path
        )
