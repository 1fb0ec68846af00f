"""Processes of the whole machine, found by a mark in their arguments; what runs in a sandbox is seen too."""

from pathlib import Path


def processes_with(mark: str) -> list[int]:
    """Return the processes that carry a mark in their arguments: one of this test alone, since others run beside it."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if mark.encode() in _arguments(entry)]


def _arguments(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended by now
        return b""
