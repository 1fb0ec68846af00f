"""Create, mask and hash API keys and secrets of sessions; encrypt secrets that must be read back."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

API_KEY_PREFIX = "phx_"
PROJECT_TOKEN_PREFIX = "phc_"  # noqa: S105 - a public token's prefix
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RANDOM_CHARACTERS = 43  # 256 bits in base 62
# Letters that are not confused, and that form no words (RFC 8628, 6.1): 2^34 codes.
_TYPED = "BCDFGHJKLMNPQRSTVWXZ"
_MASK_TAIL = 4


def new_api_key() -> str:
    """Return a new personal API key in plain text, which is shown once and never stored (contract 2.2)."""
    return API_KEY_PREFIX + _random_characters()


def new_project_token() -> str:
    """Return a new value for the field `api_token` of a project. The value is not secret (contract 6.6)."""
    return PROJECT_TOKEN_PREFIX + _random_characters()


def hash_api_key(value: str) -> str:
    """Return the hash under which an API key is stored; without salt, because a key has 256 random bits."""
    return "sha256$" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def new_session_secret() -> str:
    """Return a new secret of 256 random bits, for the cookie of a console session or for a login link."""
    return _random_characters()


def new_user_code() -> str:
    """Return a new code that a person reads in a terminal and types elsewhere: BCDF-GHJK."""
    letters = "".join(secrets.choice(_TYPED) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def hash_session_secret(value: str) -> str:
    """Return the hash of a secret or code of a sign-in, which is never that of an API key."""
    return "session$" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def mask_api_key(value: str) -> str:
    """Return the prefix and the last four characters of an API key, for display: `phx_...a1b2`."""
    return f"{API_KEY_PREFIX}...{value[-_MASK_TAIL:]}"


def _random_characters() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


class DecryptionError(Exception):
    """A stored secret cannot be decrypted with any of the configured keys."""


class Cipher:
    """Encrypts secrets by the first key; decrypts by any key, and refuses values that were changed."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._fernet = MultiFernet([Fernet(self._derive(key)) for key in keys])

    def encrypt(self, value: str) -> str:
        return self._fernet.encrypt(value.encode()).decode()

    def decrypt(self, value: str) -> str:
        """Return the plain text of an encrypted value. Raises DecryptionError."""
        try:
            return self._fernet.decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise DecryptionError("no configured secret key decrypts this value") from error

    def rotate(self, value: str) -> str:
        """Decrypt a value with any of the keys, and return it encrypted with the first. Raises DecryptionError."""
        return self.encrypt(self.decrypt(value))

    @staticmethod
    def _derive(key: SecretStr) -> bytes:
        digest = hashlib.sha256(b"taskbeacon:stored-secrets:" + key.get_secret_value().encode()).digest()
        return urlsafe_b64encode(digest)
