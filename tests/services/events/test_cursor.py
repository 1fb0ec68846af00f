"""Positions in the ledger, as the opaque text that clients send back."""

from hypothesis import given
from hypothesis import strategies as st

from app.services.events.cursor import Cursor


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_place_survives_its_text(transaction_id: int, seq: int) -> None:
    cursor = Cursor(transaction_id, seq)

    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=30))
def test_parsed_text_is_that_of_its_place(text: str) -> None:
    cursor = Cursor.parse(text)

    assert cursor is None or str(cursor) == text.rstrip("=")
