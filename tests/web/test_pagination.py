"""Pages that requests ask for by `limit` and `offset` (contract 2.6)."""

from fastapi import Request

from app.web.pagination import parse_page, read_page


async def test_query_with_a_key_is_not_kept() -> None:
    """Regression: keys that were sent in the query of a list outlived their requests in a cache."""
    parse_page.cache_clear()
    for query in (b"limit=3&personal_api_key=tbk_secret", b"limit=3&personal%5Fapi_key=tbk_secret"):
        page = await read_page(Request({"type": "http", "query_string": query}))
        assert page.asked.limit == 3
        assert parse_page.cache_info().currsize == 0
    await read_page(Request({"type": "http", "query_string": b"limit=3"}))
    assert parse_page.cache_info().currsize == 1
