"""Makes and reads git repositories as git would, without starting it for each of these steps of each run.

Only in folders that no agent can write to yet. A repository is HEAD, `objects`, `refs` and a configuration; that git
takes what is written here for one is tested.
"""

import re
from collections.abc import Iterable
from pathlib import Path

# Its name, and its settings.
Section = tuple[str, Iterable[tuple[str, str]]]

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def make_repository(git_folder: Path, *, branch: str = "main", is_bare: bool = True) -> None:
    """Make an empty repository with a branch without commits as its HEAD; `git_folder` is empty or does not exist."""
    git_folder.mkdir(parents=True, exist_ok=True)
    for name in ("objects", "refs", "info"):
        (git_folder / name).mkdir()
    (git_folder / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    core = [("repositoryformatversion", "0"), ("filemode", "true"), ("bare", str(is_bare).lower())]
    if not is_bare:
        core.append(("logallrefupdates", "true"))
    add_settings(git_folder, ("core", core))


def add_settings(git_folder: Path, *sections: Section) -> None:
    """Add settings to a repository's own; a section is named as in the file: `core`, `remote "origin"`."""
    with (git_folder / "config").open("a", encoding="utf-8") as file:
        for name, settings in sections:
            file.write(f"[{name}]\n")
            for key, value in settings:
                file.write(f'\t{key} = "{value.translate(_ESCAPES)}"\n')


def write_ref(git_folder: Path, ref: str, sha: str) -> None:
    """Have a ref be a commit; named in full and as git would take it, in a repository made here."""
    place = git_folder / ref
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{sha}\n")


def read_ref(git_folder: Path, ref: str) -> str | None:
    """Return the commit of a ref that has a file of its own, as it has from its last change until git tidies up.

    None where there is no such file, as in a repository that keeps its refs in another way: git knows.
    """
    try:
        content = (git_folder / ref).read_text()
    except OSError:
        return None
    return content.strip() if _COMMIT.fullmatch(content) else None
