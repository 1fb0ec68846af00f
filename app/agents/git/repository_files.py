"""Makes and reads repositories, in folders that no agent can write to, without starting git."""

import re
from collections.abc import Iterable
from pathlib import Path

# The name of a section, and its settings.
Section = tuple[str, Iterable[tuple[str, str]]]

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def make_repository(git_folder: Path, *, branch: str = "main", is_bare: bool = True) -> None:
    """Create an empty repository with HEAD at `branch`; if not bare, the folder around it is the work tree."""
    git_folder.mkdir(parents=True, exist_ok=True)
    for name in ("objects", "refs"):
        (git_folder / name).mkdir()
    (git_folder / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    core = [("repositoryformatversion", "0"), ("filemode", "true"), ("bare", str(is_bare).lower())]
    if not is_bare:
        core.append(("logallrefupdates", "true"))
    add_settings(git_folder, ("core", core))


def add_settings(git_folder: Path, *sections: Section) -> None:
    """Append sections, each a name as in the file and pairs of key and value, to a configuration."""
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
    """Return the commit in the file of a ref; None if there is none, or if only git can read it (packed refs)."""
    try:
        content = (git_folder / ref).read_text()
    except OSError:
        return None
    return content.strip() if _COMMIT.fullmatch(content) else None
