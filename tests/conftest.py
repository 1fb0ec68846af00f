"""Starts the real servers once per session and loads the fixtures; holds no fixtures of its own but guards.

The servers belong to the process that starts the tests: the xdist controller, or pytest itself without xdist.
Its workers inherit their addresses through the environment.
"""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Generator
from functools import wraps
from types import FrameType
from typing import Any, NoReturn, cast

import hypothesis
import pytest
import pytest_asyncio
import structlog

from app.observability import redact
from tests.fixtures.servers import start_servers, stop_servers
from tests.support.deployment.home import note_home
from tests.support.waiting import next_round

_FIXTURES = (
    "tests.fixtures.order",
    "tests.fixtures.database",
    "tests.fixtures.redis",
    "tests.fixtures.storage",
    "tests.fixtures.app",
    "tests.fixtures.auth",
    "tests.fixtures.tasks",
    "tests.fixtures.clock",
    "tests.fixtures.push",
    "tests.fixtures.worker",
    "tests.fixtures.webhooks",
)
# The conftest of a folder may import one before it is loaded below.
pytest.register_assert_rewrite(*_FIXTURES)

_LOOPBACK_NAMES = frozenset({"localhost", "::1"})


class OutsideConnection(AssertionError):
    """The error of a test that tried to connect to an address outside this machine."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "caller(kind): who calls in this test, a CallerKind; default: the owner of the project's tasks",
    )
    _refuse_outside_connections()
    # A shell starts background jobs with SIGINT ignored, and every program of a test would inherit that. Not
    # Python's own handler: asyncio would replace it whenever a fixture or test enters the loop, which takes
    # longer than the entry.
    signal.signal(signal.SIGINT, _interrupt)
    _send_logs_to_pytest()
    # A busy machine is slow, not wrong.
    hypothesis.settings.register_profile("service", deadline=None, max_examples=25, database=None)
    hypothesis.settings.load_profile("service")
    is_worker = hasattr(config, "workerinput")
    # The process that hands tests out to others runs none: it need not load the application.
    if is_worker or config.getoption("dist", "no") == "no":
        for module in _FIXTURES:
            config.pluginmanager.import_plugin(module)
    if is_worker or config.option.collectonly:
        return
    if "real_agents" in config.option.markexpr and "not real_agents" not in config.option.markexpr:
        from tests.support.stand_ins.real_agents import note_agents_folder  # noqa: PLC0415 - loads much of the application

        note_agents_folder()
    note_home()
    # A developer's own settings must not change what is tested.
    for name in [name for name in os.environ if name.startswith("TASKBEACON_")]:
        if not name.startswith("TASKBEACON_TEST_"):
            del os.environ[name]
    os.environ["TASKBEACON_DEVELOPMENT"] = "true"
    start_servers()


def pytest_collection_finish() -> None:
    """Enable garbage collection again (see `tests/__init__.py`), without examining the loaded modules."""
    gc.freeze()
    # As often as the usual 700 would, it looks for minutes altogether through what thousands of tests share.
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_loop() -> asyncio.AbstractEventLoop:
    """The event loop that all tests share."""
    return asyncio.get_running_loop()


@pytest.fixture(autouse=True)
def nothing_left_running(shared_loop: asyncio.AbstractEventLoop) -> Generator[None, None, None]:
    """Fail a test that leaves a task behind in the loop that all tests share, and end the task.

    It enters the loop only where something is left: it does so for each of thousands of tests.
    """
    before = asyncio.all_tasks(shared_loop)
    yield
    if asyncio.all_tasks(shared_loop) <= before:
        return
    left = shared_loop.run_until_complete(_end_tasks_but(before))
    assert not left, f"still running at the end of the test: {left}"


async def _end_tasks_but(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Cancel the other tasks, await their end and return them; those that were about to end are none of them."""
    await next_round()
    left = asyncio.all_tasks() - before
    left.discard(cast("asyncio.Task[Any]", asyncio.current_task()))
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    return left


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        stop_servers()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _send_logs_to_pytest() -> None:
    """Render events as production does, into the log that pytest captures (`caplog`)."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _refuse_outside_connections() -> None:
    """Have sockets connect and send to this machine only.

    An audit hook is asked after a name has been looked up.
    """
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _on_this_machine(getattr(socket.socket, name)))


def _on_this_machine(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def checked(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1]
        # Addresses that are no tuples are of UNIX sockets.
        if isinstance(address, tuple) and isinstance(address[0], str):
            host = address[0]
            if not host.startswith("127.") and host not in _LOOPBACK_NAMES:
                raise OutsideConnection(f"tests may not connect to {host}")
        return method(self, *arguments)

    return checked
