"""Make and check the keys of objects in the object store, and the file names in them (contract 8.1)."""

import re
import unicodedata
from dataclasses import dataclass
from uuid import UUID

# The prefix of all keys of this module.
KEYS_PREFIX = "tasks/"
ARTIFACTS_PREFIX = f"{KEYS_PREFIX}artifacts/"
LOGS_PREFIX = f"{KEYS_PREFIX}logs/"
_FALLBACK_NAME = "artifact"
# The longest file name of most file systems, which is also short enough for a key.
_MAX_NAME_BYTES = 255
_MAX_SUFFIX_BYTES = 16
_SHORT_ID_LENGTH = 8
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
# Joiners are part of ordinary words and emoji; other format characters only change the look of a name.
_JOINERS = frozenset("\u200c\u200d")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_OWNER = re.compile(
    r"tasks/(?:artifacts|logs|sessions|texts)/team_(\d{1,19})/task_([0-9a-f-]{36})/"
    r"(?:staged/|run_[0-9a-f-]{36}[/.]).+"
)


def safe_name(name: str) -> str:
    """Return a path's last segment, safe as a file name in storage keys, folders and headers; a safe one unchanged."""
    segment = name.rpartition("/")[2]
    visible = "".join(
        character
        for character in segment
        if character in _JOINERS or unicodedata.category(character) not in _INVISIBLE
    ).strip()
    # In the key of a form, stores replace `${filename}` by a name that the uploader chooses.
    visible = visible.replace("${", "$_")
    shortened = _shorten(visible, _MAX_NAME_BYTES)
    return _FALLBACK_NAME if shortened in {"", ".", ".."} else shortened


def _shorten(name: str, limit: int) -> str:
    if len(name.encode()) <= limit:
        return name
    stem, dot, suffix = name.rpartition(".")
    kept = f"{dot}{suffix}" if stem and len(suffix.encode()) <= _MAX_SUFFIX_BYTES else ""
    stem = stem if kept else name
    room = limit - len(kept.encode())
    return (stem.encode()[:room].decode(errors="ignore").strip() + kept).strip()


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """The place in the object store of a run's files, or of those uploaded for the next run of a task."""

    prefix: str
    is_of_run: bool

    def key(self, artifact_id: str, name: str) -> str:
        marked = self._marked(artifact_id)
        # Stores on a file system have this limit for the whole path segment, with the id before the name.
        return marked + _shorten(safe_name(name), _MAX_NAME_BYTES - len(marked.rpartition("/")[2]))

    def holds(self, path: str, artifact_id: str) -> bool:
        """Return whether `path` is a key that `key` makes for this artifact, with any file name."""
        marked = self._marked(artifact_id)
        name = path.removeprefix(marked)
        return _ID.fullmatch(artifact_id) is not None and path == marked + name and name == safe_name(name)

    def _marked(self, artifact_id: str) -> str:
        mark = f"{artifact_id[:_SHORT_ID_LENGTH]}_" if self.is_of_run else f"{artifact_id}/"
        return self.prefix + mark


def staged_folder(project_id: int, task_id: UUID) -> ArtifactFolder:
    return ArtifactFolder(f"{ARTIFACTS_PREFIX}team_{project_id}/task_{task_id}/staged/", is_of_run=False)


@dataclass(frozen=True, slots=True)
class RunRef:
    """The ids of a run, its task and its project, which its storage keys contain."""

    project_id: int
    task_id: UUID
    run_id: UUID

    @property
    def artifacts(self) -> ArtifactFolder:
        prefix = f"{ARTIFACTS_PREFIX}team_{self.project_id}/task_{self.task_id}/run_{self.run_id}/"
        return ArtifactFolder(prefix, is_of_run=True)

    @property
    def log_key(self) -> str:
        return f"{LOGS_PREFIX}team_{self.project_id}/task_{self.task_id}/run_{self.run_id}.jsonl"

    @property
    def session_key(self) -> str:
        return f"tasks/sessions/team_{self.project_id}/task_{self.task_id}/run_{self.run_id}.json.gz"

    @property
    def texts_key(self) -> str:
        return f"{self._texts}.json.z"

    @property
    def whole_keys(self) -> tuple[str, str]:
        """The storage keys of the patch of the branch that the run continues, and of its files before the first run."""
        return f"{self._texts}.whole.patch", f"{self._texts}.whole.json.z"

    @property
    def _texts(self) -> str:
        return f"tasks/texts/team_{self.project_id}/task_{self.task_id}/run_{self.run_id}"


def owner_of_key(key: str) -> tuple[int, UUID] | None:
    """Return the project id and task id in a storage key of this module; None if `key` is not such a key."""
    match = _OWNER.fullmatch(key)
    try:
        return (int(match[1]), UUID(match[2])) if match else None
    except ValueError:
        return None
