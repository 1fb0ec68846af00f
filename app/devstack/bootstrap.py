"""Make the virtual environment from the lock. Run by path with any Python of 3.11 or newer: standard library only.

It is safe to interrupt (the stamp is written last, a half-made environment is made anew) and to run twice at the same
time (the second waits, then finds nothing to do).
"""

import fcntl
import subprocess
import sys
import time
import venv
from pathlib import Path

_VENV = Path(".venv")
_STAMP = _VENV / ".installed"
_UNFINISHED = _VENV / ".unfinished"
_LOCK = Path("requirements.lock")
_INPUTS = (_LOCK, Path("pyproject.toml"))
_PIP = (str(_VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input")


def main() -> int:
    """Install what the lock names into `.venv`; return an exit status."""
    with _LOCK.open("rb") as lock:  # any file would do; this one is there
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another make is installing; waiting for it …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current():
            return 0
        started = time.monotonic()
        _make_environment()
        status = _install_locked()
        if status == 0:
            _UNFINISHED.unlink(missing_ok=True)
            status = _install_checkout()
        if status == 0:
            _STAMP.touch()
            print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)
        return status


def _is_current() -> bool:
    return _STAMP.exists() and all(_STAMP.stat().st_mtime >= file.stat().st_mtime for file in _INPUTS)


def _make_environment() -> None:
    usable = (_VENV / "bin" / "python").exists() and not _UNFINISHED.exists()
    if usable and subprocess.run([*_PIP, "--version"], capture_output=True, check=False).returncode == 0:
        return
    print(f"Making {_VENV} with Python {sys.version.split()[0]} …", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(_VENV)
    _UNFINISHED.touch()


def _install_locked() -> int:
    total = sum(1 for line in _LOCK.read_text(encoding="utf-8").splitlines() if "==" in line.split(" ")[0])
    print(f"Installing {total} packages from {_LOCK} (a minute or two at the first time) …", flush=True)
    command = [*_PIP, "install", "--progress-bar", "off", "--require-hashes", "-r", str(_LOCK)]
    last_lines: list[str] = []
    done = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            last_lines = [*last_lines[-19:], line]
            if line.startswith("Collecting "):
                done += 1
                _show_progress(f"  {done}/{total} {line.split()[1].partition('==')[0]}", last=done == total)
            elif line.startswith("Installing collected"):
                print("  unpacking …", flush=True)
    if pip.returncode != 0:
        print("".join(last_lines), file=sys.stderr, flush=True)
    return pip.returncode


def _install_checkout() -> int:
    command = [*_PIP, "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", "."]
    return subprocess.run(command, check=False).returncode


def _show_progress(text: str, *, last: bool) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", flush=True)
    elif last or text.split("/", maxsplit=1)[0].endswith("0"):
        print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped. The next make goes on.", file=sys.stderr)
        sys.exit(130)
