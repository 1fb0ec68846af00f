"""Makes and reads git repositories without starting git, which each run would otherwise do several times.

Only in folders that no agent can write to yet. A repository is HEAD, `objects`, `refs` and a configuration; a
test shows that git accepts it.
"""

import re
from collections.abc import Iterable
from pathlib import Path

# The name of a section, and its settings.
Section = tuple[str, Iterable[tuple[str, str]]]

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def make_repository(git_folder: Path, *, branch: str = "main", is_bare: bool = True) -> None:
    """Create an empty git repository in `git_folder`, which must be empty or missing. HEAD names `branch`.

    If the repository is not bare, `git_folder` is its `.git`, and its work tree is the folder around `git_folder`.
    """
    git_folder.mkdir(parents=True, exist_ok=True)
    for name in ("objects", "refs"):
        (git_folder / name).mkdir()
    (git_folder / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    core = [("repositoryformatversion", "0"), ("filemode", "true"), ("bare", str(is_bare).lower())]
    if not is_bare:
        core.append(("logallrefupdates", "true"))
    add_settings(git_folder, ("core", core))


def add_settings(git_folder: Path, *sections: Section) -> None:
    """Append settings to the configuration of a git repository.

    A section consists of its name, as in the file (`core`, `remote "origin"`), and pairs of key and value.
    """
    with (git_folder / "config").open("a", encoding="utf-8") as file:
        for name, settings in sections:
            file.write(f"[{name}]\n")
            for key, value in settings:
                file.write(f'\t{key} = "{value.translate(_ESCAPES)}"\n')


def write_ref(git_folder: Path, ref: str, sha: str) -> None:
    """Write a git ref as a file: `ref`, a full and valid name such as `refs/heads/main`, becomes the commit `sha`."""
    place = git_folder / ref
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{sha}\n")


def read_ref(git_folder: Path, ref: str) -> str | None:
    """Return the commit that the file of a git ref contains; None if the file is missing or contains no commit.

    The file is missing if git has packed the refs, or stores them in another format. Then only git can read the ref.
    """
    try:
        content = (git_folder / ref).read_text()
    except OSError:
        return None
    return content.strip() if _COMMIT.fullmatch(content) else None
