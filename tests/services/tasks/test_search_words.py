"""Numbers and wildcards in the words of a search (contract 6.10)."""

import re

from hypothesis import given

from app.services.tasks.search_words import escape_like, searched_number
from tests.schemas.test_fields import texts


@given(texts)
def test_searched_number_fits_the_column(search: str) -> None:
    number = searched_number(search)
    assert number is None or 0 <= number < 2**63
    if number is not None:
        assert re.fullmatch(r"(?:.*-)?[0-9]+", search, re.DOTALL)


@given(texts)
def test_escaped_text_has_no_bare_wildcard(value: str) -> None:
    escaped = escape_like(value)
    assert re.sub(r"\\(.)", r"\1", escaped, flags=re.DOTALL) == value
    assert not re.search(r"[%_]", re.sub(r"\\.", "", escaped, flags=re.DOTALL))
