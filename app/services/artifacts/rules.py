"""Pure rules for artifacts: their sizes, lifetimes and types, and which of them a browser may display (contract 8)."""

import mimetypes
import re
from datetime import timedelta
from urllib.parse import quote

from app.clients.object_store import TTL_TAG
from app.enums import ArtifactType
from app.schemas.staged_artifacts import MAX_BYTES

_MAX_PDF_BYTES = 10 * 1024 * 1024
# Overhead of a multipart form; finalising measures the file itself (contract 8.2).
FORM_OVERHEAD = 64 * 1024
FORM_LIFETIME = timedelta(seconds=3600)
DOWNLOAD_LIFETIME = timedelta(seconds=3600)
STAGED_LIFETIME = timedelta(hours=24)
# The age at which an upload without a reference may be removed. Finalising refuses an upload close to this age, so that
# the sweep never removes a file that was just accepted.
UNCLAIMED_LIFETIME = timedelta(hours=24)

_PDF = "application/pdf"
_OCTETS = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}", re.ASCII)
# Types that a browser displays without executing content.
_SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"})

# The table of the standard library only: the machine's own would make types depend on the worker.
_TYPES = mimetypes.MimeTypes()
for _suffix in (".patch", ".diff", ".log", ".toml", ".yaml", ".yml"):
    _TYPES.add_type("text/plain", _suffix)
_TYPES.add_type("application/jsonl", ".jsonl")
_TYPES.add_type("text/markdown", ".md")


def tags(days: int, project_id: int) -> dict[str, str]:
    """Return the tags that make the object store delete a file of this project after `days` days (contract 8.3)."""
    return {TTL_TAG: str(days), "team_id": str(project_id)}


def size_error(name: str, size: int, *, type_: str, content_type: str) -> str | None:
    """Return the error message if a file is larger than the limit for its kind; None if it is not."""
    is_named_pdf = name.lower().endswith(".pdf")
    is_pdf = is_named_pdf or _media_type(content_type) == _PDF
    limit = _MAX_PDF_BYTES if is_pdf and type_ == ArtifactType.USER_ATTACHMENT else MAX_BYTES
    if size <= limit:
        return None
    if is_named_pdf and limit == _MAX_PDF_BYTES:
        return f"{name} exceeds the 10MB attachment limit for PDFs in cloud runs"
    return f"{name} exceeds the {limit // 2**20}MB attachment limit"


def guess_content_type(name: str) -> str:
    """Return the media type that a file name's suffix stands for."""
    guessed, encoding = _TYPES.guess_type(name, strict=False)
    return guessed if guessed and encoding is None else _OCTETS


def served_content_type(content_type: str) -> str:
    """Return the Content-Type header for the download of a file with this declared media type."""
    media_type = _media_type(content_type)
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else _OCTETS


def content_disposition(name: str, content_type: str) -> str:
    """Return the Content-Disposition header for the download of a file of any name (RFC 6266)."""
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
