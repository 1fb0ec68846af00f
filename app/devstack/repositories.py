"""The bare repositories on which agents work: a copy of the reader's own for `taskbeacon try`, and that of the demo.

The reader's checkout is only read. In the end it gets one new branch: its working tree, its index and its other
branches do not change. It may come from a stranger, so none of its hooks runs, and no program that its configuration
names: git works in a folder without one, or serves the checkout by `git upload-pack`, which is made for that.
"""

import hashlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

import app
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput

_COPY_SECONDS = 1800  # enough to clone a large repository
_DEFAULT_BRANCH = "main"
_SHORT_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
# The settings that git needs to read a repository. Their values are words and numbers: none names a program.
_FORMAT = re.compile(
    r"^(core\.(?:repositoryformatversion|filemode|ignorecase|symlinks|autocrlf|eol)"
    r"|extensions\.(?:objectformat|refstorage))"
    r"=(\w+)$",
    re.MULTILINE,
)
_CONTENT = ("objects", "refs", "packed-refs", "reftable", "shallow", "info")
_REPOSITORY_VARIABLES = frozenset(
    f"GIT_{name}"
    for name in ("DIR", "COMMON_DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "NAMESPACE", "PREFIX")
)
_HEAD = re.compile(r"^ref: refs/heads/(\S+)\tHEAD$", re.MULTILINE)
_SOURCES = (
    "app",
    "migrations",
    "tests",
    "docs",
    "pyproject.toml",
    "README.md",
    "Makefile",
)  # without a commit


class TrialRepository:
    """A bare copy of a person's repository, in a sub-folder of `folder`. Agents work on the copy."""

    def __init__(self, folder: Path, source: str, name: str | None = None) -> None:
        local = Path(source).expanduser()
        self.checkout: Path | None = local.resolve() if local.is_dir() else None
        self.source = str(self.checkout or source)
        # Tasks name a repository as `organization/repository`, here relative to the folder.
        self.name = name or _short_name(self.source)
        self._path = folder / self.name
        self._environment: dict[str, str] = {}

    @classmethod
    def find(cls, folder: Path, name: str, *, base_url: str) -> "TrialRepository":
        """Return the bare copy of the repository `name`. Its content is fetched by `copy`, not yet by this call."""
        local = Path(name).expanduser()
        if local.is_dir():
            top = _git(name, "-C", str(local.absolute()), "rev-parse", "--show-toplevel").removesuffix("\n")
            return cls(folder, top)
        if _SHORT_NAME.fullmatch(name) and not name.startswith("."):
            return cls(folder, f"{base_url.rstrip('/')}/{name}")
        # Without a colon it is neither a URL nor host:path. A file may be a bundle of git.
        if ":" not in name and not local.exists():
            raise DevstackError(f"there is no folder {name}")
        return cls(folder, str(local.absolute()) if local.exists() else name)

    def copy(self) -> str:
        """Fetch the HEAD of the person's repository into the bare copy, and return the name of its current branch."""
        heads = self._git("ls-remote", "--symref", "--", self.source, "HEAD")
        if not heads:
            raise DevstackError(f"{self.source} has no commit yet; an agent needs one to begin with")
        found = _HEAD.search(heads)
        branch = found[1] if found else _DEFAULT_BRANCH  # in CI, HEAD is often detached
        if not (self._path / "HEAD").exists():
            self._path.mkdir(parents=True, exist_ok=True)
            self._git("init", "--quiet", "--bare", f"--initial-branch={branch}", str(self._path))
        bare = ("--git-dir", str(self._path))
        fetch = ("fetch", "--quiet", "--no-tags", "--update-shallow", "--force", "--", self.source)
        self._git(*bare, *fetch, f"HEAD:refs/heads/{branch}")
        self._git(*bare, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
        return branch

    def has_changes(self) -> bool:
        """Return whether the person's repository is a local checkout with uncommitted changes."""
        if self.checkout is None:
            return False
        with self._view(self.checkout) as view:
            status = ("--no-optional-locks", "status", "--porcelain", "--ignore-submodules")
            return bool(self._git(*view, f"--work-tree={self.checkout}", *status).strip())

    def fetch_branch(self, branch: str) -> str:
        """Fetch a branch that a run has pushed into the checkout from which the trial was started."""
        if self.checkout is None:
            return shlex.join(["git", "fetch", str(self._path), branch])
        fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
        with self._view(self.checkout) as view:
            refs = f"refs/heads/{branch}:refs/heads/{branch}"
            self._git(*view, *fetch, "--", str(self._path), refs)
        return shlex.join(["git", "-C", self.source, "diff", f"HEAD...{branch}"])

    def _git(self, *arguments: str) -> str:
        return _git(self.source, *arguments, environment=self._environment)

    @contextmanager
    def _view(self, checkout: Path) -> Iterator[tuple[str, ...]]:
        asked = ("-C", str(checkout), "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir")
        own, common = (Path(line) for line in self._git(*asked).splitlines())
        listed = self._git("config", "--file", str(common / "config"), "--list")
        with TemporaryDirectory(prefix="view-", dir=self._path.parent) as name:
            view = Path(name)
            for place in (*(common / part for part in _CONTENT), own / "index", *own.glob("sharedindex.*")):
                if place.exists():
                    (view / place.name).symlink_to(place)
            (view / "HEAD").write_bytes((own / "HEAD").read_bytes())
            for key, value in _FORMAT.findall(listed):
                self._git("config", "--file", str(view / "config"), key, value)
            # The global configuration of the person applies, except maintenance, hooks and the file monitor.
            quiet = ("gc.auto=0", "maintenance.auto=false", "core.hooksPath=/dev/null", "core.fsmonitor=no")
            yield f"--git-dir={view}", *(word for setting in quiet for word in ("-c", setting))


class DemoRepository(TrialRepository):
    """A copy of this very checkout, to which the person's own git settings do not apply."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, str(Path(app.__file__ or "").absolute().parents[1]), "taskbeacon/taskbeacon")
        config = folder / "gitconfig"
        folder.mkdir()
        # The checkout may belong to another user.
        config.write_text(
            "[safe]\n\tdirectory = *\n[user]\n\tname = Taskbeacon demo\n\temail = demo@users.noreply.localhost\n",
            encoding="utf-8",
        )
        self._environment = {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}

    @override
    def copy(self) -> str:
        """Fetch the last commit of the checkout, or commit its files if it has none; return the branch."""
        if Path(self.source, ".git").exists():
            with suppress(DevstackError):  # there is no commit yet
                return super().copy()
        self._git("init", "--quiet", "--bare", f"--initial-branch={_DEFAULT_BRANCH}", str(self._path))
        sources = [name for name in _SOURCES if Path(self.source, name).exists()]
        files = ("-c", "core.bare=false", "--git-dir", str(self._path), "--work-tree", self.source)
        self._git(*files, "-C", self.source, "add", "--", *sources)
        self._git(*files, "commit", "--quiet", "--message", "Copy the sources")
        return _DEFAULT_BRANCH

    def show_branch(self, branch: str) -> str:
        """Return the commits of a branch that the copied one does not have, as `git log --stat` prints them."""
        form = "--format=commit %h%nAuthor: %an%n%n    %s%n"
        return self._git("--git-dir", str(self._path), "log", "--stat", form, f"HEAD..{branch}")


def copy_repository(repository: TrialRepository, terminal: TerminalOutput) -> str:
    with terminal.step(f"Copying {repository.source}"):
        branch = repository.copy()
    if repository.has_changes():
        terminal.styled_line("    Changes that are not committed stay out of it.", "dim")
    return branch


def _short_name(source: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", source.rstrip("/").rpartition("/")[2].removesuffix(".git"))
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    return f"try/{name.strip('-') or 'repository'}-{digest}"


def _git(source: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    # git has the global configuration and the credentials of the person, but is in no repository: neither in that of
    # the working folder nor in one that variables of the shell name.
    kept = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    failure = f"{source} cannot be copied"
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the person's git, wherever it is
            cwd="/",
            env={**kept, **(environment or {}), "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COPY_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or f"git failed with status {error.returncode}"
        raise DevstackError(f"{failure}: {reason}") from error
    except FileNotFoundError as error:
        raise DevstackError("git is needed for this: install it (Debian: apt-get install git)") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevstackError(f"{failure}: {error}") from error
    return done.stdout
