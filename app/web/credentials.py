"""The key that a client may send in a query or a body, instead of a header (contract 2.2)."""

from urllib.parse import unquote_to_bytes

CREDENTIAL = "personal_api_key"


def has_credential(query_string: bytes) -> bool:
    """Return whether a query names the credential, so that it must not be kept beyond its request."""
    return CREDENTIAL.encode() in unquote_to_bytes(query_string)
