"""Bundles an agent's commits and files by git in the sandbox, with our settings."""

import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from app.agents.errors import WorkspaceBroken
from app.agents.files.attachments import OWN_FOLDER
from app.agents.git.git_command import BIG_FILE, settings_environment
from app.agents.git.run_repository import COLLECTED
from app.agents.sandbox.confined_process import ConfinedProcess
from app.processes.output import last_lines

RESULT = f"refs/heads/{COLLECTED}"
_OUTPUT_LIMIT = 2**20
_HEAD = re.compile(r"([0-9a-f]{40}([0-9a-f]{24})?)?")
_NOT_ALL_TAKEN = 40  # an exit status that git does not use
_MOST_NAMED = 20
# One program for all steps, because starting a sandbox takes longer than any of the steps.
GATHER = f"""\
result=$1 own=$2 base=$3 bundle=$4 subject=$5 work=$PWD
set -e
taken=0
# Git hangs when it opens a named pipe, such as one that is called .gitattributes, so all are deleted. The file of the
# structured output is checked when it is read.
pipes=$(find . "$HOME" "$TMPDIR" ! -path "./$own/output.json" -type p -print -delete 2>/dev/null |
    tail -n {_MOST_NAMED}) || :
if [ -n "$pipes" ]; then
    echo "Named pipes stay behind:" $pipes >&2
    taken={_NOT_ALL_TAKEN}
fi
# Only an agent that has made commits needs a fetch. It fails if the agent has deleted its repository; the files are
# collected in any case.
if [ "$(GIT_DIR=$work/.git git rev-parse --verify --quiet HEAD 2>/dev/null)" != "$base" ]; then
    fetch="git fetch --quiet --force --no-tags --no-recurse-submodules"
    $fetch --update-head-ok --update-shallow -- "$work" "HEAD:$result" 2>/dev/null || :
fi
tip=$GIT_DIR/$result
[ ! -e "$tip" ] || git read-tree HEAD
# In a submodule, `git add` would start a git that runs the filters which the agent configured there. It skips an
# entry with the bit skip-worktree.
git ls-files -z --stage | sed -z -n 's/^160000 [^\t]*\t//p' | xargs -0 -r sh -c '
    for path; do [ ! -e "$path/.git" ] || printf "%s\\0" "$path"; done
' sh | git update-index -z --skip-worktree --stdin
# Without a pathspec that excludes our folder: git reports an error if the repository ignores the same folder.
git add --all --ignore-errors -- . >/dev/null || taken={_NOT_ALL_TAKEN}
# A .gitignore of the repository can override the exclude file, so our folder is reset.
git reset --quiet -- "$own" ":(exclude)$own/checks.toml"
# Not by `git commit`, which also looks into submodules.
tree=$(git write-tree)
before=
[ ! -e "$tip" ] || read -r before <"$tip"
if [ "$tree" != "$([ -z "$before" ] && git mktree </dev/null || git rev-parse "$before^{{tree}}")" ]; then
    git update-ref "$result" "$(git commit-tree ${{before:+-p "$before"}} -m "$subject" "$tree")"
fi
made=
[ ! -e "$tip" ] || read -r made <"$tip"
since=${{base:+^$base}}
if [ "$made" != "$base" ] && ! git bundle create --quiet - "$result" $since >"$bundle" 2>"$GIT_DIR/refusal"; then
    # Git refuses to make an empty bundle, as for an agent that went back to an earlier commit.
    own_commits=$(git rev-list --max-count=1 "$made" $since)
    [ -z "$own_commits" ] || {{ cat "$GIT_DIR/refusal" >&2; exit 1; }}
    : >"$bundle"
fi
echo "$made"
exit $taken
"""
_SETTINGS = (
    ("core.bare", "false"),
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.quotePath", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.file.allow", "always"),
    ("safe.directory", "*"),
    ("advice.addEmbeddedRepo", "false"),
    ("core.bigFileThreshold", BIG_FILE),
    ("pack.threads", "2"),
    ("pack.windowMemory", "64m"),
)

# Makes a git in the sandbox use our scratch repository and none of the agent's settings.
GIT_ENVIRONMENT = {
    **settings_environment(_SETTINGS),
    "GIT_WORK_TREE": ".",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C.UTF-8",
}

# Starts a command in the sandbox of the run, with these variables in addition to the usual ones.
Start = Callable[[Sequence[str], Mapping[str, str]], Awaitable[ConfinedProcess]]


async def gather(
    start: Start, collection: Path, bundle: Path, *, base: str | None, subject: str, program: str
) -> tuple[str, str]:
    """Commit the agent's files; return the last commit of the bundle, and what it lacks. Raises WorkspaceBroken."""
    arguments = (RESULT, OWN_FOLDER, base or "", str(bundle), " ".join(subject.split()))
    process = await start(
        ("sh", "-c", program, "sh", *arguments), {**GIT_ENVIRONMENT, "GIT_DIR": str(collection)}
    )
    ended = await process.finish(_OUTPUT_LIMIT)
    head = _HEAD.fullmatch(ended.text)
    if ended.code not in (0, _NOT_ALL_TAKEN) or head is None:
        raise WorkspaceBroken(f"The agent's work cannot be gathered: {last_lines(ended.errors)}")
    return head[0], last_lines(ended.errors) if ended.code == _NOT_ALL_TAKEN else ""
