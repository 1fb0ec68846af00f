"""Program: compares the files of a clone with a commit, as a patch. It runs in the sandbox, on a clone it cannot write.

git has our own repository with an index there, which knows the files of the clone's commit. No program of the clone is
executed: filters, external diffs and hooks are settings, and ours has none.
"""

import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Of larger files only the size is said: git reads all of a file to show that it is large.
_LARGE = 4 * 2**20
_MOST_FILES = 5000
_MOST_NOTES = 100
_LONGEST_NOTE = 500
# Of the names in a list.
_MOST_CHARACTERS = 2**18
_MEMORY = 512 * 2**20
_NICER = 5
_CHUNK = 2**16
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_EMPTY_FILE = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
_LINK = 0o120000
_SPECIAL = re.compile(rb'[\0-\x1f"\\\x7f]')
# Without the submodules' own git: it obeys what the agent configured there.
_SUBMODULES = "--ignore-submodules=dirty"
# What git opens wherever it meets it, and waits for if it is a pipe.
_OPENED = "( -name .gitattributes -o -name .gitignore -o -name .gitmodules )"


class _Clone:
    """The working folder as an index knows it, and what the patch of it lacks."""

    def __init__(self, base: str, own: str) -> None:
        self._own = own
        folder = Path(os.environ["GIT_DIR"])
        # The files of the clone's commit, with the times at which they were read; and the new files beside them.
        self._known, self._index = folder / "index.base", folder / "index"
        self._base = base or _EMPTY_TREE
        self._large: list[bytes] = []
        self._sizes: dict[str, int] = {}
        self._notes: list[str] = []
        for left in (self._index, folder / "index.lock", folder / "index.base.lock"):
            left.unlink(missing_ok=True)
        if pipes := _run("find", ".", "-type", "p", *_OPENED.split(), "-print0", "-quit"):
            sys.exit(f"git cannot read {_shown(pipes[0])}: it is a named pipe.")
        how = ("--porcelain", "-z", "--untracked-files=all", "--no-renames", _SUBMODULES)
        listed = [(line[1], line[3:]) for line in self._git("status", *how, index=self._known)]
        if self._known.exists():
            # With its time: git reads the files that are no older.
            shutil.copy2(self._known, self._index)
        self._pass_over([path for letter, path in listed if letter not in "?D "])
        self._add([path for letter, path in listed if letter == "?"])

    @property
    def facts(self) -> dict[str, object]:
        sizes, room = dict[str, int](), _MOST_CHARACTERS
        for path, size in self._sizes.items():
            room -= len(path)
            if room >= 0:
                sizes[_shown(path)] = size
        return {"sizes": sizes, "notes": [_shown(note[:_LONGEST_NOTE]) for note in self._notes[:_MOST_NOTES]]}

    def _pass_over(self, changed: list[str]) -> None:
        """Have git pass over files of the commit that it should not open."""
        passed_over = []
        for path in changed:
            there = _look_at(path)
            if not there or stat.S_ISDIR(there.st_mode) or stat.S_ISLNK(there.st_mode):
                continue
            if not stat.S_ISREG(there.st_mode):
                self._notes.append(f"{path} is no file any more.")
                passed_over.append(path)
            elif self._is_large(path, there.st_size):
                passed_over.append(path)
        self._update("--skip-worktree", "--stdin", lines=passed_over)

    def _add(self, new: list[str]) -> None:
        """Give the index the files that the commit lacks: as empty ones, since git reads those that differ."""
        added: list[str] = []
        for path in self._to_show(new):
            there = _look_at(path)
            if not there:
                continue
            if stat.S_ISDIR(there.st_mode):
                self._notes.append(f"{path} is a repository of its own.")
            elif len(added) == _MOST_FILES:
                self._notes.append(f"More than {_MOST_FILES} files are new.")
                break
            elif stat.S_ISLNK(there.st_mode):
                added.append(f"{_LINK:o} {_EMPTY_FILE}\t{path}")
            elif stat.S_ISREG(there.st_mode) and not self._is_large(
                path, there.st_size, "new file mode 100644"
            ):
                mode = 0o100755 if there.st_mode & stat.S_IXUSR else 0o100644
                added.append(f"{mode:o} {_EMPTY_FILE}\t{path}")
        self._update("--index-info", lines=added)

    def write_patch(self, limit: int) -> int:
        """Write less than `limit` bytes: of files that git does not read the heads alone."""
        how = ("--no-color", "--no-ext-diff", "--no-textconv", "--full-index", _SUBMODULES)
        heads = b"".join(self._large)[: limit // 2]
        sys.stdout.buffer.write(heads[: heads.rfind(b"\n") + 1])
        limit -= len(heads)
        with subprocess.Popen(  # noqa: S603 - our own arguments
            ("git", "diff", *how, self._base, "--"),  # noqa: S607 - as the sandbox finds it
            stdout=subprocess.PIPE,
        ) as git:
            assert git.stdout is not None
            while limit > 0 and (part := git.stdout.read(min(limit, _CHUNK))):
                sys.stdout.buffer.write(part)
                limit -= len(part)
            if limit == 0:
                git.kill()
        return 0 if limit == 0 else git.returncode

    def _is_large(self, path: str, size: int, *header: str) -> bool:
        self._sizes[path] = size
        if size > _LARGE:
            name = _SPECIAL.sub(lambda special: b"\\%03o" % special[0][0], os.fsencode(path))
            lines = (*header, "GIT binary patch", f"literal {size}", "")
            self._large.append(b'diff --git "a/%b" "b/%b"\n%b' % (name, name, "\n".join(lines).encode()))
        return size > _LARGE

    def _to_show(self, new: list[str]) -> Iterator[str]:
        # Not ignored ones, and ignored ones that the agent has added to an index of its own.
        its_own = _look_at(".git/index")
        if its_own and stat.S_ISREG(its_own.st_mode):
            how = ("--cached", "-z", "--name-only", "--no-renames", "--diff-filter=A")
            since = "HEAD" if self._known.exists() else _EMPTY_TREE
            new += self._git("diff-index", *how, since, index=Path(".git/index").absolute())
        kept = f"{self._own}/checks.toml"
        yield from (
            path for path in dict.fromkeys(new) if path == kept or not path.startswith(f"{self._own}/")
        )

    def _update(self, *options: str, lines: list[str]) -> None:
        if lines:
            self._git("update-index", "-z", *options, index=self._index, text="\0".join((*lines, "")))

    @staticmethod
    def _git(*arguments: str, index: Path, text: str = "") -> list[str]:
        return _run("git", *arguments, text=text, GIT_INDEX_FILE=str(index))


def _run(*command: str, text: str = "", **variables: str) -> list[str]:
    done = subprocess.run(  # noqa: S603 - our own arguments
        command,
        env={**os.environ, **variables},
        input=os.fsencode(text),
        stdout=subprocess.PIPE,
        check=False,
    )
    return os.fsdecode(done.stdout).split("\0")[:-1]


def _look_at(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _shown(text: str) -> str:
    return os.fsencode(text).decode(errors="replace")


def main() -> None:
    """Write a line of JSON about what the patch lacks, then the patch; less than `limit` bytes of it."""
    base, own, limit = sys.argv[1:]
    os.nice(_NICER)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    clone = _Clone(base, own)
    sys.stdout.write(json.dumps(clone.facts) + "\n")
    sys.stdout.flush()
    sys.exit(clone.write_patch(int(limit)))


if __name__ == "__main__":
    main()
