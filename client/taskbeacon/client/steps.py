"""The steps that the core yields to a transport, which sends back an outcome or raises ConnectionFailed."""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from taskbeacon.client.errors import ApiError, error_of
from taskbeacon.client.shapes import Shape, checked, parsed

T = TypeVar("T")
NEVER: Final = float("inf")


@dataclass(frozen=True)
class Request:
    """A request. `content` is its body; or `form` are the fields before the file of an upload."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = None
    form: Mapping[str, str] | None = None
    file: Path | None = None
    # In seconds, of silence; None: the client's.
    timeout: float | None = None
    deadline: float = NEVER  # on the monotonic clock


@dataclass(frozen=True)
class Answer:
    """An answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_good(self) -> bool:
        return self.status in range(200, 300)

    @property
    def error(self) -> ApiError:
        """What to raise for an answer that is not good."""
        body = None
        with suppress(ApiError):
            body = parsed(self.body)
        return error_of(self.status, self.headers, body)

    def json(self) -> Any:  # Any: JSON
        """Return the content, None if the body is empty. Raises ServerError if it is no JSON."""
        if not self.body:
            return None
        return parsed(self.body, status=self.status, request_id=self.headers.get("x-request-id"))

    def of(self, shape: Shape) -> Any:  # Any: one of the generated types
        """Return the content. Raises ServerError if it is no JSON of this shape."""
        return checked(self.json(), shape)


class Send(NamedTuple):
    """Send a request; the outcome is an `Answer` with its body."""

    request: Request


class Open(NamedTuple):
    """Send a request; the outcome is an `Answer`, without its body where it is good, and a handle to read that.

    A generator has one handle: the next `Open`, and its end, close that.
    """

    request: Request


class Read(NamedTuple):
    """Read the body behind a handle of `Open`; the outcome is bytes, none at the end."""

    handle: Any  # Any: the transport's own


class Pause(NamedTuple):
    seconds: float


class Yield(NamedTuple, Generic[T]):
    """An item that an iterator of the client yields; not a step."""

    value: T


# The steps that a transport performs.
Step: TypeAlias = Send | Open | Read | Pause
# Any: the outcomes of steps.
Flow: TypeAlias = Generator[Step, Any, T]
Items: TypeAlias = Generator[Step | Yield[T], Any, None]
