"""What callers write for a task, a run or a question, and how it becomes ids."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from taskbeacon.client.errors import Conflict, NotFound

if TYPE_CHECKING:
    from uuid import UUID

# A number, a slug, an id or its beginning, a URL of the console or `@latest`; or what the server has sent.
Reference: TypeAlias = "str | int | UUID | Mapping[str, Any]"

UUID_TEXT: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PAGE: Final = re.compile(r"/console/projects/([^/]+)/tasks/([^/]+)(?:/runs/([^/]+))?/?")
_LEAST_DIGITS: Final = 6


class Place(NamedTuple):
    """Where the server has a task or a run; `run` is None for a task, or where it is not known yet."""

    project: str
    task: str
    run: str | None = None


def known_place(reference: Reference, *, url: str, project: str) -> Place | str:
    """Return the place that a reference names, or the text that the server must resolve. Raises ValueError."""
    if isinstance(reference, Mapping):
        if "task" in reference:  # a run
            return Place(project, str(reference["task"]), str(reference["id"]))
        latest = reference.get("latest_run")
        run = str(latest["id"]) if isinstance(latest, Mapping) and "id" in latest else None
        return Place(project, str(reference["id"]), run)
    text = str(reference).strip()
    if not text:
        raise ValueError("the reference is empty")
    return _place_of_page(text, url) if text.startswith(("http://", "https://")) else text


def _place_of_page(text: str, url: str) -> Place:
    here, there = urlsplit(url), urlsplit(text)
    is_here = (here.scheme, here.netloc.lower()) == (there.scheme, there.netloc.lower())
    if not is_here or not there.path.startswith(here.path):
        raise ValueError(f"{text} is not a page of {url}")
    found = _PAGE.fullmatch(there.path.removeprefix(here.path))
    if found is None:
        raise ValueError(f"{text} is no page of a task")
    project, task, run = (part and unquote(part) for part in found.groups())
    return Place(project, task, run)


def find_question(rows: list[dict[str, Any]], reference: str) -> dict[str, Any] | None:
    """Return the row of the inbox that a reference names; None if none. Raises Conflict if it is ambiguous."""
    digits = reference.replace("-", "").lower()
    if reference == "@latest":
        # Of the newest run; ids grow with time.
        run = max((row["run"]["id"] for row in rows), default=None)
        found = [row for row in rows if row["run"]["id"] == run]
        if found and found[0]["status"] != "open":
            found = [max(found, key=lambda row: str(row["opened_at"]))]
    elif len(digits) < _LEAST_DIGITS:
        return None
    else:
        found = [row for row in rows if row["id"].replace("-", "").startswith(digits)]
    if len(found) > 1:
        listed = ", ".join(f"{row['id']} ({row['title']})" for row in found)
        raise Conflict(f"Several questions match: {listed}.", code="ambiguous_reference", status=409)
    return found[0] if found else None


def not_found(what: str) -> NotFound:
    return NotFound(what, code="not_found", status=404)
