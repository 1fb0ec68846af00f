"""Read `limit` and `offset` of lists leniently, and link to the neighbouring pages (contract 2.6); pages of logs."""

from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Request
from starlette.datastructures import URL, QueryParams
from starlette.types import Scope

from app.api_limits import PAGE_DEFAULT, PAGE_MAXIMUM
from app.json_types import JsonDict
from app.schemas.base import Page
from app.schemas.fields import parse_integer
from app.services.run_log.log_reading import LogPage
from app.web.asgi_keys import ORIGINAL_PATH
from app.web.credentials import CREDENTIAL, has_credential

# Beyond any table, but still a valid offset for the database.
_MAX_OFFSET = 2**62
# A credential in the query is not copied into links (contract 12, trap 20).
_NOT_COPIED = frozenset({CREDENTIAL, "limit", "offset"})

_COUNTS = {
    "X-Total-Count": "Number of entries in the log.",
    "X-Matching-Count": "Number of entries that pass the filters.",
    "X-Filtered-Count": "The same number as `X-Matching-Count`.",
}
LOG_PAGE: dict[int | str, JsonDict] = {
    200: {
        "description": "A page of log entries, oldest first.",
        "headers": {
            **{
                name: {"description": meaning, "schema": {"type": "integer"}}
                for name, meaning in _COUNTS.items()
            },
            "X-Has-More": {
                "description": "`true` if more matching entries follow: continue at `offset` plus the number of "
                "entries on this page.",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
        },
    }
}


class PageRequest(NamedTuple):
    """The page of a list that a request asks for, with its scope, for links to the other pages."""

    asked: Page
    scope: Scope

    def page(self, count: int, results: list[Any]) -> Any:
        limit, offset = self.asked
        following, preceding = offset + (len(results) or limit), offset - limit
        return {
            "count": count,
            "next": self._link(following) if following < count else None,
            "previous": self._link(preceding) if offset > 0 else None,
            "results": results,
        }

    def _link(self, offset: int) -> str:
        # Parsed only here: most polls find nothing new and need no links.
        query = QueryParams(self.scope["query_string"]).multi_items()
        parameters = [pair for pair in query if pair[0] not in _NOT_COPIED]
        parameters.append(("limit", str(self.asked.limit)))
        if offset > 0:
            parameters.append(("offset", str(offset)))
        url = URL(scope=self.scope).replace(path=self.scope[ORIGINAL_PATH], query="")
        return f"{url}?{urlencode(sorted(parameters, key=lambda pair: pair[0]))}"


async def read_limit(request: Request) -> int:
    return _limit(request.query_params)


async def read_page(request: Request) -> PageRequest:
    """Return the page that a request asks for by `limit` and `offset`. A missing or invalid value means its default."""
    query_string = request.scope["query_string"]
    parse = parse_page.__wrapped__ if has_credential(query_string) else parse_page
    return PageRequest(parse(query_string), request.scope)


@lru_cache(maxsize=256)
def parse_page(query_string: bytes) -> Page:
    # Clients send the same query with each poll.
    query = QueryParams(query_string)
    offset = parse_integer(query.get("offset"))
    return Page(_limit(query), min(offset, _MAX_OFFSET) if offset and offset > 0 else 0)


def _limit(query: QueryParams) -> int:
    requested_limit = parse_integer(query.get("limit"))
    return min(requested_limit, PAGE_MAXIMUM) if requested_limit and requested_limit > 0 else PAGE_DEFAULT


# For lists that continue from a position instead of an offset.
LimitDep = Annotated[int, Depends(read_limit)]
PageDep = Annotated[PageRequest, Depends(read_page)]


def log_headers(page: LogPage, offset: int) -> dict[str, str]:
    """Return the headers that `LOG_PAGE` describes, for the page of log entries that begins at `offset`."""
    return {
        "X-Total-Count": str(page.total),
        "X-Filtered-Count": str(page.matching),
        "X-Matching-Count": str(page.matching),
        "X-Has-More": "true" if page.matching > offset + len(page.entries) else "false",
        "Cache-Control": "no-cache",
    }
