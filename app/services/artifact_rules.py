"""Pure rules about files: names, keys, sizes, and how a browser may be shown one (contract 8)."""

import mimetypes
import re
import unicodedata
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

from app.clients.object_store import TTL_TAG
from app.enums import ArtifactType
from app.schemas.staged_artifacts import MAX_BYTES

__all__ = [
    "ARTIFACTS_PREFIX",
    "DOWNLOAD_LIFETIME",
    "FORM_LIFETIME",
    "FORM_OVERHEAD",
    "STAGED_LIFETIME",
    "UNCLAIMED_LIFETIME",
    "content_disposition",
    "guess_content_type",
    "is_run_path",
    "is_staged_path",
    "log_key",
    "owner_of_key",
    "run_artifact_key",
    "safe_name",
    "served_content_type",
    "session_key",
    "size_error",
    "staged_key",
    "tags",
]

_MAX_PDF_BYTES = 10 * 1024 * 1024
# What a multipart form adds to its file; finalising measures the file itself (contract 8.2).
FORM_OVERHEAD = 64 * 1024
FORM_LIFETIME = timedelta(seconds=3600)
DOWNLOAD_LIFETIME = timedelta(seconds=3600)
STAGED_LIFETIME = timedelta(hours=24)
# An upload that nothing refers to may be removed at this age. Finalising refuses one that is about to reach it, so
# that the sweeper can never take what has just been accepted.
UNCLAIMED_LIFETIME = timedelta(hours=24)

# Below it, and nowhere else, is everything that this module names.
ARTIFACTS_PREFIX = "tasks/artifacts/"
_FALLBACK_NAME = "artifact"
# A file system takes no longer name than this, and a key leaves room for it.
_MAX_NAME_BYTES = 255
_MAX_SUFFIX_BYTES = 16
_SHORT_ID_LENGTH = 8
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PDF = "application/pdf"
_OCTETS = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}", re.ASCII)
# What a browser shows without running anything of it.
_SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"})
# Joiners are part of ordinary words and emoji; every other format character only changes how a name looks.
_JOINERS = frozenset("\u200c\u200d")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_OWNER = re.compile(r"tasks/artifacts/team_(\d{1,19})/task_([0-9a-f-]{36})/(?:staged|run_[0-9a-f-]{36})/.+")

# The table of the standard library alone: the machine's own would make types depend on the worker.
_TYPES = mimetypes.MimeTypes()
for _suffix in (".patch", ".diff", ".log", ".toml", ".yaml", ".yml"):
    _TYPES.add_type("text/plain", _suffix)
_TYPES.add_type("application/jsonl", ".jsonl")
_TYPES.add_type("text/markdown", ".md")


def safe_name(name: str) -> str:
    """Return the last segment of a name as it may stand in a key, in a folder and on the wire (contract 8.1).

    Control and direction characters are dropped, a name of more than 255 bytes keeps its suffix. Repeatable.
    """
    segment = name.rpartition("/")[2]
    visible = "".join(
        character
        for character in segment
        if character in _JOINERS or unicodedata.category(character) not in _INVISIBLE
    ).strip()
    # Stores replace this with a name of the uploader's choice.
    visible = visible.replace("${", "$_")
    shortened = _shortened(visible, _MAX_NAME_BYTES)
    return _FALLBACK_NAME if shortened in {"", ".", ".."} else shortened


def _shortened(name: str, limit: int) -> str:
    if len(name.encode()) <= limit:
        return name
    stem, dot, suffix = name.rpartition(".")
    kept = f"{dot}{suffix}" if stem and len(suffix.encode()) <= _MAX_SUFFIX_BYTES else ""
    stem = stem if kept else name
    room = limit - len(kept.encode())
    return (stem.encode()[:room].decode(errors="ignore").strip() + kept).strip()


def log_key(project_id: int, task_id: UUID, run_id: UUID) -> str:
    """Return the key of a run's log, one JSON object a line."""
    return f"tasks/logs/team_{project_id}/task_{task_id}/run_{run_id}.jsonl"


def session_key(project_id: int, task_id: UUID, run_id: UUID) -> str:
    """Return the key of what an agent keeps of its conversation in a run; no client is ever given it."""
    return f"tasks/sessions/team_{project_id}/task_{task_id}/run_{run_id}.json.gz"


def staged_key(project_id: int, task_id: UUID, *, artifact_id: str, name: str) -> str:
    """Return the key of a file that waits for a run of its task."""
    return f"{_staged_prefix(project_id, task_id)}{artifact_id}/{safe_name(name)}"


def run_artifact_key(project_id: int, task_id: UUID, run_id: UUID, *, artifact_id: str, name: str) -> str:
    """Return the key of an artifact that belongs to a run."""
    prefix = f"{artifact_id[:_SHORT_ID_LENGTH]}_"
    # Stores that are file systems know no longer name: the whole segment must fit.
    name = _shortened(safe_name(name), _MAX_NAME_BYTES - len(prefix))
    return f"{_run_prefix(project_id, task_id, run_id)}{prefix}{name}"


def is_staged_path(path: str, project_id: int, task_id: UUID, *, artifact_id: str) -> bool:
    """Tell whether a path is one that was handed out for this artifact of this task (contract 5.9, step 1)."""
    return _is_handed_out(path, f"{_staged_prefix(project_id, task_id)}{artifact_id}/", artifact_id)


def is_run_path(path: str, project_id: int, task_id: UUID, run_id: UUID, *, artifact_id: str) -> bool:
    """Tell whether a path is one that was handed out for this artifact of this run (contract 6.4)."""
    prefix = f"{_run_prefix(project_id, task_id, run_id)}{artifact_id[:_SHORT_ID_LENGTH]}_"
    return _is_handed_out(path, prefix, artifact_id)


def _is_handed_out(path: str, prefix: str, artifact_id: str) -> bool:
    name = path.removeprefix(prefix)
    return _ID.fullmatch(artifact_id) is not None and path == prefix + name and name == safe_name(name)


def owner_of_key(key: str) -> tuple[int, UUID] | None:
    """Return project and task that a key of an artifact belongs to; None for what is no such key."""
    match = _OWNER.fullmatch(key)
    try:
        return (int(match[1]), UUID(match[2])) if match else None
    except ValueError:
        return None


def _staged_prefix(project_id: int, task_id: UUID) -> str:
    return f"tasks/artifacts/team_{project_id}/task_{task_id}/staged/"


def _run_prefix(project_id: int, task_id: UUID, run_id: UUID) -> str:
    return f"tasks/artifacts/team_{project_id}/task_{task_id}/run_{run_id}/"


def tags(days: int, project_id: int) -> dict[str, str]:
    """Return the tags of an object that lives so long (contract 8.3)."""
    return {TTL_TAG: str(days), "team_id": str(project_id)}


def size_error(name: str, size: int, *, type_: str, content_type: str) -> str | None:
    """Return what is wrong with a file of this size, None if nothing is (contract 8.2)."""
    is_named_pdf = name.lower().endswith(".pdf")
    is_pdf = is_named_pdf or _media_type(content_type) == _PDF
    limit = _MAX_PDF_BYTES if is_pdf and type_ == ArtifactType.USER_ATTACHMENT else MAX_BYTES
    if size <= limit:
        return None
    if is_named_pdf and limit == _MAX_PDF_BYTES:
        return f"{name} exceeds the 10MB attachment limit for PDFs in cloud runs"
    return f"{name} exceeds the {limit // 2**20}MB attachment limit"


def guess_content_type(name: str) -> str:
    """Return the media type that a file's suffix stands for; what is compressed is just that."""
    guessed, encoding = _TYPES.guess_type(name, strict=False)
    return guessed if guessed and encoding is None else _OCTETS


def served_content_type(content_type: str) -> str:
    """Return the type to send a file with: as it was declared, if that can stand in a header."""
    media_type = _media_type(content_type)
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else _OCTETS


def content_disposition(name: str, content_type: str) -> str:
    """Return the header that names a download, for any name (RFC 6266), and keeps active content from being shown."""
    kind = "inline" if served_content_type(content_type) in _SHOWN_INLINE else "attachment"
    plain = "".join(
        character if " " <= character <= "~" and character not in '"\\%/' else "_" for character in name
    )
    header = f'{kind}; filename="{plain}"'
    if plain != name:
        header += f"; filename*=UTF-8''{quote(name.encode(errors='replace'), safe='')}"
    return header


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
