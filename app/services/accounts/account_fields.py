"""Check the names, e-mail addresses, secrets and URLs of accounts, without a database or network."""

import re
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.errors import InvalidInput, too_long

_NAME_LENGTH = 255
_EMAIL_LENGTH = 254
_TOKEN_LENGTH = 2000
_URL_LENGTH = 500
_APP_NUMBER_LENGTH = 64
_PEM_LENGTH = 10_000
# Only sending mail shows whether an address works; this refuses texts that cannot be an address.
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+")


def clean_name(value: str) -> str:
    """Check a required name of 1 to 255 characters and return it trimmed."""
    name = clean_label(value, attr="name", limit=_NAME_LENGTH)
    if not name:
        raise InvalidInput("This field may not be blank.", code="blank", attr="name")
    return name


def clean_label(value: str, *, attr: str, limit: int) -> str:
    """Check an optional text of at most `limit` characters and return it trimmed, perhaps empty."""
    label = _keepable(value, attr).strip()
    if len(label) > limit:
        raise too_long(limit, attr=attr)
    return label


def clean_email(value: str) -> str:
    """Check an e-mail address and return it trimmed; its letter case stays."""
    email = clean_label(value, attr="email", limit=_EMAIL_LENGTH)
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise InvalidInput("Enter a valid email address.", attr="email")
    return email


def clean_token(value: str, *, attr: str = "token") -> str:
    """Check a token that is sent in an HTTP header, one word of printable ASCII, and return it trimmed."""
    token = clean_label(value, attr=attr, limit=_TOKEN_LENGTH)
    if not token:
        raise InvalidInput("This field may not be blank.", code="blank", attr=attr)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("A token is one word of printable ASCII characters.", attr=attr)
    return token


def clean_app_number(value: str, *, attr: str) -> str:
    """Check the id of a GitHub App (a number or a client id), or of an installation of it, and return it trimmed."""
    number = clean_label(value, attr=attr, limit=_APP_NUMBER_LENGTH)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", number, re.ASCII):
        raise InvalidInput("An id consists of letters, digits, dots and hyphens.", attr=attr)
    return number


def clean_private_key(value: str) -> str:
    """Check a private RSA key in PEM form, as GitHub makes one for an App, and return it trimmed."""
    text = clean_label(value, attr="private_key", limit=_PEM_LENGTH)
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput("This is no unencrypted private key in PEM form.", attr="private_key") from error
    if not isinstance(key, RSAPrivateKey):
        raise InvalidInput("The key of a GitHub App is an RSA key.", attr="private_key")
    return text


def clean_url(value: str, *, attr: str, schemes: frozenset[str]) -> str:
    """Check a URL that is stored and shown in plain text, and return it trimmed."""
    url = clean_label(value, attr=attr, limit=_URL_LENGTH)
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) or (parts.scheme == "file" and bool(parts.path))
        has_credentials = parts.username is not None or parts.password is not None
        parts.port  # noqa: B018 - reading the property checks the port
    except ValueError as error:
        raise InvalidInput("Enter a valid URL.", attr=attr) from error
    if parts.scheme not in schemes or not has_place or not url.isprintable() or " " in url:
        raise InvalidInput(
            f"Enter a valid URL that begins with one of: {', '.join(f'{s}://' for s in sorted(schemes))}.",
            attr=attr,
        )
    if has_credentials:
        raise InvalidInput("A URL must not hold credentials; give them as the token.", attr=attr)
    return url


def _keepable(value: str, attr: str) -> str:
    if "\x00" in value:
        raise InvalidInput("Null characters are not allowed.", code="null_characters_not_allowed", attr=attr)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("Not a valid string.", attr=attr) from error
    return value
