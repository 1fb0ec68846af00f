"""Compares a clone with a commit while its agent works, by git in the sandbox.

git has our own repository with an index there, which knows the files of the clone's commit. No program of the clone is
executed: filters, external diffs and hooks are settings, and ours has none.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from app.agents.errors import WorkspaceBroken
from app.agents.files.attachments import OWN_FOLDER
from app.agents.git.run_repository import EMPTY_TREE, PATCH_LIMIT, cut_patch
from app.agents.sandbox.confinement import Sandbox, confined_environment
from app.agents.sandbox.policy import Confinement
from app.agents.workspace.work_bundle import GIT_ENVIRONMENT
from app.processes.output import last_lines
from app.schemas.runs.diff import ChangeTotals

# Of larger files only the size is shown, because git would read a whole file to find that it is large.
_LARGE = 4 * 2**20
_MOST_FILES = 5000
_MOST_NOTES = 100
# The most bytes of the list: as many changed files as new ones, with the longest paths.
_LIST_LIMIT = 42 * 2**20
_SPECIAL = re.compile(rb'[\0-\x1f"\\\x7f]')
_LARGE_HEAD = b'diff --git "a/%b" "b/%b"\n%bGIT binary patch\nliteral %b\n'
_OWN = re.escape(OWN_FOLDER)
_EMPTY_FILE = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
# Prints for each changed (M) or new (A) file a NUL, the letter, type, size and name; then two NULs; then the patch.
COMPARE = rf"""base=$1 limit=$2
ulimit -d {512 * 2**10}
known=$GIT_DIR/index.base head=HEAD
export GIT_INDEX_FILE="$known"
rm -f "$GIT_DIR/index" "$GIT_DIR/index.lock" "$known.lock"
# Git opens files with these names in any folder, and hangs if one is a named pipe.
pipe=$(find . -type p \( -name .gitattributes -o -name .gitignore -o -name .gitmodules \) -print -quit)
[ -z "$pipe" ] || {{ echo "git cannot read $pipe: it is a named pipe." >&2; exit 1; }}
# In a submodule git would obey what the agent configured there, so it is not started in any.
how="--ignore-submodules=dirty --no-renames"
git status --porcelain -z --untracked-files=all $how >"$GIT_DIR/listed"
# Copied with its time: git compares by content only those files that are not older than the index.
if [ -e "$known" ]; then cp -p "$known" "$GIT_DIR/index"; else head={EMPTY_TREE}; fi
sed -z -n 's/^.[MT] //p' "$GIT_DIR/listed" >"$GIT_DIR/changed"
{{
    sed -z -n 's/^?? //p' "$GIT_DIR/listed"
    # Also files that the repository ignores, if the agent has added them to its index.
    [ ! -f .git/index ] ||
        GIT_INDEX_FILE=$PWD/.git/index git diff-index --cached -z --name-only --diff-filter=A $how $head
}} | sort -z -u | sed -z -n '\,^{_OWN}/checks\.toml$,p; \,^{_OWN}/,!p' | head -z -n {_MOST_FILES + 1} >"$GIT_DIR/new"
look() {{ sed -z 's,^,./,' "$GIT_DIR/$1" | xargs -0 -r sh -c "find \"\$@\" -maxdepth 0 $2" sh 2>/dev/null; }}
export GIT_INDEX_FILE="$GIT_DIR/index"
look changed "! -type d ! -type l -printf '\0M%y %s %p'" | head -z -n {_MOST_FILES + 1}
look new "-printf '\0A%y %s %p'"
printf '\0\0'
# Git skips entries with the bit skip-worktree: large files and what is no regular file.
look changed "! -type d ! -type l \( ! -type f -o -size +{_LARGE}c \) -print0" |
    git update-index -z --skip-worktree --stdin
# Added to the index as empty files, so that git shows their content as new.
look new "-type l -printf '120000 {_EMPTY_FILE}\t%p\0' -o -type f -size -{_LARGE + 1}c \( \
    -perm -u=x -printf '100755 {_EMPTY_FILE}\t%p\0' -o -printf '100644 {_EMPTY_FILE}\t%p\0' \)" |
    sed -z 's,\t\./,\t,' | git update-index -z --index-info
how="--no-color --no-ext-diff --no-textconv --full-index --ignore-submodules=dirty"
{{ git diff $how "$base" --; echo $? >"$GIT_DIR/code"; }} | head -c "$limit"
read -r code <"$GIT_DIR/code"
exit "$code"
"""
# Git fails when the agent truncates a file while git reads it, so the comparison is tried again.
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    patch: bytes
    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes of the files that changed
    notes: Sequence[str] = ()  # what the patch lacks
    totals: ChangeTotals | None = None
    texts: Mapping[str, str] = field(default_factory=dict)  # of the changed files, before the changes
    behind: int | None = None  # commits that the base has and the work had not when it began

    @property
    def tree(self) -> str:
        """A word that stays the same as long as the files do."""
        return hashlib.sha256(orjson.dumps(self.notes) + b"\0" + self.patch).hexdigest()[:40]


async def compare(
    sandbox: Sandbox,
    confinement: Confinement,
    environment: Mapping[str, str],
    *,
    scratch: Path,
    base: str | None,
) -> Comparison:
    """Compare the clone with the commit `base`, None for no files, by git in the sandbox. Raises WorkspaceBroken.

    `scratch` is our scratch repository with the index `index.base`. Not a part of what the run uses: the program limits
    itself, and the caller its time.
    """
    command = ("nice", "-n", "5", "sh", "-c", COMPARE, "sh", base or EMPTY_TREE, str(PATCH_LIMIT + 1))
    variables = {**confined_environment(environment), **GIT_ENVIRONMENT, "GIT_DIR": str(scratch)}
    tries = _TRIES
    while True:
        process = await sandbox.start(command, confinement, variables)
        ended = await process.finish(_LIST_LIMIT + PATCH_LIMIT)
        listed, end, patch = ended.output.partition(b"\0\0")
        if end and (ended.code == 0 or len(patch) > PATCH_LIMIT):
            break
        tries -= 1
        if not tries:
            raise WorkspaceBroken(f"The files cannot be compared: {last_lines(ended.errors)}")
    heads, sizes, notes = list[bytes](), dict[str, int](), list[str]()
    entries = [entry.replace(b" ./", b" ", 1).split(b" ", 2) for entry in listed.split(b"\0")[1:]]
    for kind, size, name in entries:
        shown = name.decode(errors="replace")
        match kind:
            case b"Ad":
                notes.append(f"{shown} is a repository of its own.")
            case b"Af" | b"Mf" | b"Al":
                sizes[shown] = int(size)
                if int(size) > _LARGE:
                    quoted = _SPECIAL.sub(lambda special: b"\\%03o" % special[0][0], name)
                    mode = b"new file mode 100644\n" if kind == b"Af" else b""
                    heads.append(_LARGE_HEAD % (quoted, quoted, mode, size))
            case _:
                notes.append(f"{shown} is no file any more.")
    if sum(kind.startswith(b"A") for kind, _, _ in entries) > _MOST_FILES:
        notes.append(f"More than {_MOST_FILES} files are new.")
    whole = b"".join((*heads, patch))
    return Comparison(
        patch=whole if len(whole) <= PATCH_LIMIT else cut_patch(whole[:PATCH_LIMIT]),
        sizes=sizes,
        notes=notes[:_MOST_NOTES],
    )
