"""Make, mask and hash API keys; encrypt what must be kept secret and read back."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

__all__ = ["Cipher", "DecryptionError", "hash_api_key", "mask_api_key", "new_api_key", "new_project_token"]

API_KEY_PREFIX = "phx_"
PROJECT_TOKEN_PREFIX = "phc_"  # noqa: S105 - a public token's prefix
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RANDOM_CHARACTERS = 43  # 256 bits in base 62
_MASK_TAIL = 4


def new_api_key() -> str:
    """Return a fresh personal API key; it is shown once and never stored (contract 2.2)."""
    return API_KEY_PREFIX + _random_characters()


def new_project_token() -> str:
    """Return a fresh public project token, the `api_token` of a project (contract 6.6)."""
    return PROJECT_TOKEN_PREFIX + _random_characters()


def hash_api_key(value: str) -> str:
    """Return what is stored of a key: unsalted, so that it is found by equality; a key holds 256 random bits."""
    return "sha256$" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def mask_api_key(value: str) -> str:
    """Return what may be shown of a key."""
    return f"{API_KEY_PREFIX}...{value[-_MASK_TAIL:]}"


def _random_characters() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


class DecryptionError(Exception):
    """A stored secret cannot be read with any of the configured keys."""


class Cipher:
    """Authenticated encryption with rotating secrets: the first encrypts, every one decrypts."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._fernet = MultiFernet([Fernet(self._derive(key)) for key in keys])

    def encrypt(self, value: str) -> str:
        """Return `value` encrypted under the first secret."""
        return self._fernet.encrypt(value.encode()).decode()

    def decrypt(self, value: str) -> str:
        """Return the plain text.

        Raises:
            DecryptionError: no configured secret fits.

        """
        try:
            return self._fernet.decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise DecryptionError("no configured secret key decrypts this value") from error

    def rotate(self, value: str) -> str:
        """Return an encrypted value encrypted anew, under the first secret.

        Raises:
            DecryptionError: no configured secret fits.

        """
        return self.encrypt(self.decrypt(value))

    @staticmethod
    def _derive(key: SecretStr) -> bytes:
        digest = hashlib.sha256(b"taskbeacon:stored-secrets:" + key.get_secret_value().encode()).digest()
        return urlsafe_b64encode(digest)
