"""Encode server-sent events (SSE)."""


def encode(data: bytes, *, name: bytes = b"", id_: bytes = b"") -> bytes:
    """Return the bytes of a server-sent event with this data, name and id. `data` is JSON without line breaks."""
    lines = (b"id: %b\n" % id_ if id_ else b"", b"event: %b\n" % name if name else b"")
    return b"%b%bdata: %b\n\n" % (*lines, data)
