"""Create identifiers: the only source of new ids of rows and artifacts."""

import os
import time
import uuid

# The largest value of a column of the type `bigint`.
MAX_BIGINT = 2**63 - 1
_RANDOM_BITS = 74
_VERSION_7 = 0x7
_RFC_VARIANT = 0b10


def new_id() -> uuid.UUID:
    """Return a UUID of version 7, which begins with the time: rows made one after the other are close in an index."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & ((1 << _RANDOM_BITS) - 1)
    value = milliseconds << 80
    value |= _VERSION_7 << 76
    value |= (random >> 62) << 64
    value |= _RFC_VARIANT << 62
    value |= random & ((1 << 62) - 1)
    return uuid.UUID(int=value)


def new_hex_id() -> str:
    """Return a new artifact id: 32 lower-case hexadecimal digits without hyphens."""
    return os.urandom(16).hex()
