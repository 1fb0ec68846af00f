"""Action tokens (contract 15): each says what it is for, and no one without a key makes one."""

import base64
import hmac
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.services.notifications.action_tokens import ACTION_TOKEN_PREFIX, ActionClaims, mint, read
from tests.support.clock import MovableClock

_KEYS = (SecretStr("new " * 10), SecretStr("old " * 10))
_CLAIMS = ActionClaims(UUID(int=7), UUID(int=8), bytes(range(32)), 0)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(
    st.builds(
        ActionClaims,
        st.uuids(),
        st.uuids(),
        st.binary(min_size=32, max_size=32),
        st.none() | st.integers(0, 2**15 - 1),
    )
)
def test_token_says_what_it_was_minted_for(claims: ActionClaims) -> None:
    token = mint(_KEYS, claims)
    assert token.startswith(ACTION_TOKEN_PREFIX)
    assert read(_KEYS, token) == claims


def test_token_stands_in_a_url_as_it_is() -> None:
    token = mint(_KEYS, replace(_CLAIMS, digest=b"\xff" * 32, option=2**15 - 1))
    assert set(token.removeprefix(ACTION_TOKEN_PREFIX)) <= {*_ALPHABET, "."}


def test_token_of_an_earlier_key_is_read_until_the_key_is_removed() -> None:
    old = mint(_KEYS[1:], _CLAIMS)
    assert read(_KEYS, old) == _CLAIMS
    assert read(_KEYS[:1], old) is None


def test_token_expires_after_24_hours(clock: MovableClock) -> None:
    token = mint(_KEYS, _CLAIMS)
    clock.advance(hours=24, seconds=-1)
    assert read(_KEYS, token) == _CLAIMS
    clock.advance(seconds=1)
    assert read(_KEYS, token) is None


def test_every_changed_character_makes_a_forgery() -> None:
    token = mint(_KEYS, _CLAIMS)
    for place, character in enumerate(token):
        for other in {"A", "B", "_", "."} - {character}:
            assert read(_KEYS, token[:place] + other + token[place + 1 :]) is None


def test_other_claims_under_a_known_signature_are_a_forgery() -> None:
    signature = mint(_KEYS, _CLAIMS).partition(".")[2]
    other = mint(_KEYS, replace(_CLAIMS, option=1)).partition(".")[0]
    assert read(_KEYS, f"{other}.{signature}") is None


def test_signature_differs_from_a_plain_hash_with_the_key() -> None:
    head, _, signature = mint(_KEYS, _CLAIMS).partition(".")
    payload = base64.urlsafe_b64decode(head.removeprefix(ACTION_TOKEN_PREFIX) + "==")
    forged = base64.urlsafe_b64encode(hmac.digest(_KEYS[0].get_secret_value().encode(), payload, "sha256"))
    assert forged.rstrip(b"=").decode() != signature


@pytest.mark.parametrize(
    "token",
    [
        "",
        "tba_",
        "tba_.",
        "tba_AAAA",
        "tba_AAAA.AAAA",
        "phx_" + "a" * 43,
        "tba_ä.ä",
        "tba_=.=",
        "tba_" + "A" * 5000,
    ],
)
def test_malformed_token_is_not_read(token: str) -> None:
    assert read(_KEYS, token) is None


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert read(_KEYS, text) is None
    assert read(_KEYS, ACTION_TOKEN_PREFIX + text) is None
