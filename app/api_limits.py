"""The limits of the API in size, number and time: the most that a client can make a process hold or wait for.

Limits of single fields (`max_length`) are in the schemas (`app/schemas`), and are published with them.
"""

from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB

# Requests; more are answered with 429. Those of a project: `TASKBEACON_THROTTLE_PER_MINUTE` and `…_PER_HOUR`.
# Without a key, where people press buttons, and many of them may share an address.
ADDRESS_REQUESTS_PER_MINUTE: Final = 60
CODES_PER_MINUTE: Final = 10  # that a person types to sign a terminal in (contract 21)
POLLS_PER_SECOND: Final = 1  # of such a terminal, for its key
POLLS_OF_ADDRESS_PER_MINUTE: Final = 600

# Heads of requests. A larger one is answered with 431, a slower one with 408.
HEAD_BYTES: Final = 64 * _KIB
HEAD_FIELDS: Final = 200  # headers, and trailers of the body: each costs more than its bytes
# From the connection, or the first byte of a further request, to the end of the head.
HEAD_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 5  # between two requests of a connection
PIPELINED_REQUESTS: Final = 16  # that wait for an earlier response; later ones are not read
LINGER_SECONDS: Final = 2.0  # how long a refused client may go on sending before its connection is closed

# Bodies. A larger one is answered with 413, a slower one with 408.
BODY_BYTES: Final = 20 * _MIB
WEBHOOK_BYTES: Final = 5 * _MIB
# Read and dropped beyond the limit, so that clients get to read their answer.
DRAINED_BYTES: Final = 100 * _MIB
BODY_SECONDS: Final = 30.0  # for the body, and beyond that one second for each
BODY_BYTES_PER_SECOND: Final = 32 * _KIB
# Chunks of a body in one piece of at most HEAD_BYTES: this number, and beyond it one for each 64 bytes. A chunk costs
# as much as some kilobytes. More are answered with 400.
BODY_CHUNKS: Final = 256
BODY_CHUNK_BYTES: Final = 64
JSON_DEPTH: Final = 200  # deeper than any sane document, and below what the encoder of answers can write back

# Numbered events (`event_stream`); their request may stay open for as long as events come.
EVENT_LINES: Final = 20_000
EVENT_LINE_BYTES: Final = _MIB
EVENT_SILENCE_SECONDS: Final = 60.0

# Live streams, each of which a process holds for up to `TASKBEACON_STREAM_LIFE_SECONDS`. One more is answered with 429.
STREAMS_PER_USER: Final = 200  # in one process

# Files of runs, in the object store.
FILE_BYTES: Final = 30 * _MIB
PDF_BYTES: Final = 10 * _MIB  # a PDF for the agent
LOG_BYTES: Final = 200 * _MIB  # a note says that the rest is left out

# The JSON that clients write into a run, as the database encodes it. Larger JSON is answered with 400.
RUN_STATE_BYTES: Final = _MIB
RUN_OUTPUT_BYTES: Final = _MIB

# Lists. A page with more bytes ends early; its `next` continues after its last row.
PAGE_DEFAULT: Final = 50
PAGE_MAXIMUM: Final = 100
PAGE_BYTES: Final = 8 * _MIB

# Responses. Large ones are sent in pieces as fast as their clients read them, and only some at a time.
LARGE_RESPONSE_BYTES: Final = _MIB
LARGE_RESPONSES: Final = 16
LARGE_RESPONSE_WAIT_SECONDS: Final = 10.0  # for a slot; then the response is 503
RESPONSE_BYTES_AT_ONCE: Final = 256 * _KIB
RESPONSE_SECONDS: Final = 30.0  # for a client to read a large one, and beyond that one second for each
RESPONSE_BYTES_PER_SECOND: Final = 128 * _KIB
UNACKNOWLEDGED_SECONDS: Final = 30.0  # how long a client may read nothing that is sent to it
METRICS_SECONDS: Final = 1.0  # how old `/metrics` may be
