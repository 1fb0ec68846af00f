"""Pure rules about files: sizes, lifetimes, types, and how a browser may be shown one (contract 8)."""

import mimetypes
import re
from datetime import timedelta
from urllib.parse import quote

from app.clients.object_store import TTL_TAG
from app.enums import ArtifactType
from app.schemas.staged_artifacts import MAX_BYTES

_MAX_PDF_BYTES = 10 * 1024 * 1024
# What a multipart form adds to its file; finalising measures the file itself (contract 8.2).
FORM_OVERHEAD = 64 * 1024
FORM_LIFETIME = timedelta(seconds=3600)
DOWNLOAD_LIFETIME = timedelta(seconds=3600)
STAGED_LIFETIME = timedelta(hours=24)
# An upload that nothing refers to may be removed at this age. Finalising refuses one that is about to reach it, so
# that the sweeper can never take what has just been accepted.
UNCLAIMED_LIFETIME = timedelta(hours=24)

_PDF = "application/pdf"
_OCTETS = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}", re.ASCII)
# What a browser shows without running anything of it.
_SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"})

# The table of the standard library alone: the machine's own would make types depend on the worker.
_TYPES = mimetypes.MimeTypes()
for _suffix in (".patch", ".diff", ".log", ".toml", ".yaml", ".yml"):
    _TYPES.add_type("text/plain", _suffix)
_TYPES.add_type("application/jsonl", ".jsonl")
_TYPES.add_type("text/markdown", ".md")


def tags(days: int, project_id: int) -> dict[str, str]:
    """Return the tags of an object that lives so long (contract 8.3)."""
    return {TTL_TAG: str(days), "team_id": str(project_id)}


def size_error(name: str, size: int, *, type_: str, content_type: str) -> str | None:
    """Return the error for a file of this size, None if it is allowed (contract 8.2)."""
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
