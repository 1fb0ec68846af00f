"""What the attempts of attempts.py need: a folder that Python runs, and their targets."""

import os
import secrets
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from landlockpy import abi_version

from app.agents.inspection.sandbox_check import PROBE, stand_ins
from app.agents.inspection.sandbox_probe import LIBC, Targets
from tests.sandbox.attempts import IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_PRIVATE, IPC_RMID, call

# The files of the program, by their places in its folder.
PROGRAM = {
    "__main__.py": Path(__file__).with_name("attempts.py"),
    "app/agents/inspection/sandbox_probe.py": PROBE,
}
PRIVATE = Path("/etc/shadow")
# Of addresses for documentation, which lead nowhere.
PUBLIC = "192.0.2.1"


def write_program(folder: Path) -> Path:
    for name, source in PROGRAM.items():
        path = folder / "attempts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.read_text())
    return folder / "attempts"


@asynccontextmanager
async def all_stand_ins() -> AsyncIterator[tuple[Path, Targets]]:
    """Yield a folder and the targets of all attempts; those that this machine has not are ""."""
    async with stand_ins() as (root, targets):
        with ExitStack() as stack:
            yield (
                root,
                {
                    **targets,
                    "private": str(PRIVATE) if os.access(PRIVATE, os.R_OK) else "",
                    "public": PUBLIC,
                    "landlock": "yes" if abi_version() else "",
                    "queue": stack.enter_context(queue(f"taskbeacon-{targets['secret']}")),
                    **stack.enter_context(system_v(targets["secret"])),
                },
            )


@contextmanager
def system_v(secret: str) -> Iterator[Targets]:
    """Yield the key of some memory of System V, and the ids of a queue with a message and of a semaphore."""
    key = secrets.randbelow(2**30) + 1
    message = struct.pack("@l", 1) + secret.encode()
    segment = LIBC.shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0o600)
    queue = LIBC.msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
    LIBC.msgsnd(queue, message, len(secret), IPC_NOWAIT)
    semaphore = LIBC.semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
    try:
        yield {
            "segment": str(key) if segment >= 0 else "",
            "queue_id": str(queue) if queue >= 0 else "",
            "semaphore_id": str(semaphore) if semaphore >= 0 else "",
        }
    finally:
        LIBC.shmctl(segment, IPC_RMID, None)
        LIBC.msgctl(queue, IPC_RMID, None)
        LIBC.semctl(semaphore, 0, IPC_RMID)


@contextmanager
def queue(name: str) -> Iterator[str]:
    found = call("mq_open", name.encode(), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, None)
    if found < 0:
        yield ""
        return
    os.close(found)
    try:
        yield name
    finally:
        call("mq_unlink", name.encode())
