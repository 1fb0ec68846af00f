"""Valid and invalid names, addresses, tokens and URLs of accounts."""

from collections.abc import Callable

import pytest

from app.errors import InvalidInput
from app.services.accounts.account_fields import clean_email, clean_label, clean_name, clean_token, clean_url

_SCHEMES = frozenset({"https", "file"})


def name(value: str) -> str:
    return clean_name(value)


def label(value: str) -> str:
    return clean_label(value, attr="label", limit=5)


def url(value: str) -> str:
    return clean_url(value, attr="git_url", schemes=_SCHEMES)


@pytest.mark.parametrize(
    ("clean", "value", "kept"),
    [
        (name, "  Test Team ", "Test Team"),
        (name, "é" * 255, "é" * 255),
        (label, "   ", ""),
        (label, " 12345 ", "12345"),
        (clean_email, " Ada.Lovelace+x@Example.COM ", "Ada.Lovelace+x@Example.COM"),
        (clean_email, "dev@localhost", "dev@localhost"),
        (clean_token, "ghp_abc\n", "ghp_abc"),
        (url, "https://git.example.com:8443/base/", "https://git.example.com:8443/base/"),
        (url, "file:///srv/git", "file:///srv/git"),
    ],
)
def test_plausible_value_is_kept_trimmed(clean: Callable[[str], str], value: str, kept: str) -> None:
    assert clean(value) == kept


@pytest.mark.parametrize(
    ("clean", "value", "code"),
    [
        (name, " \t", "blank"),
        (name, "x" * 256, "max_length"),
        (name, "a\x00b", "null_characters_not_allowed"),
        (name, "\ud800", "invalid_input"),
        (label, "123456", "max_length"),
        (clean_email, "", "invalid_input"),
        (clean_email, "ada", "invalid_input"),
        (clean_email, "ada@", "invalid_input"),
        (clean_email, "@example.com", "invalid_input"),
        (clean_email, "a@b@example.com", "invalid_input"),
        (clean_email, "ada love@example.com", "invalid_input"),
        (clean_email, "ada@exa\x07mple.com", "invalid_input"),
        (clean_email, "a" * 65 + "@example.com", "invalid_input"),
        (clean_email, "a@" + "b" * 253, "max_length"),
        (clean_token, " ", "blank"),
        (clean_token, "two words", "invalid_input"),
        (clean_token, "line\nbreak", "invalid_input"),
        (clean_token, "tök", "invalid_input"),
        (clean_token, "t" * 2001, "max_length"),
        (url, "git.example.com", "invalid_input"),
        (url, "http://git.example.com", "invalid_input"),
        (url, "https://", "invalid_input"),
        (url, "https://git.example.com:port/", "invalid_input"),
        (url, "https://[::1", "invalid_input"),
        (url, "https://git example.com/", "invalid_input"),
        (url, "https://user:secret@git.example.com/", "invalid_input"),
        (url, "https://" + "h" * 493, "max_length"),
    ],
)
def test_implausible_value_is_refused(clean: Callable[[str], str], value: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        clean(value)

    assert refused.value.code == code
    assert refused.value.attr is not None
