"""Encode the frames of live streams, as server-sent events."""


def encode(data: bytes, *, name: bytes = b"", id_: bytes = b"") -> bytes:
    """Return the bytes of a server-sent event with this data, name and id; `data` is JSON without line breaks."""
    lines = (b"id: %b\n" % id_ if id_ else b"", b"event: %b\n" % name if name else b"")
    return b"%b%bdata: %b\n\n" % (*lines, data)


# The delay of a client before it reconnects, in milliseconds.
RETRY = b"retry: 2000\n\n"
_ALIVE = b'{"type":"keepalive"}'
KEEPALIVE = encode(_ALIVE, name=b"keepalive")


def keepalive(id_: bytes) -> bytes:
    """Return a keepalive event with an id, from which a client that reconnects continues."""
    return encode(_ALIVE, name=b"keepalive", id_=id_)
