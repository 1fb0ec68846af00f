"""Install the locked packages into `.venv`. `make` runs this by path with Python 3.11 or newer: standard library only.

It is safe to interrupt, because an environment without its stamp is made again, and to run twice at once.
"""

import ast
import fcntl
import os
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

_VENV = Path(".venv")
_PYTHON, _UV, _STAMP = _VENV / "bin/python", _VENV / "bin/uv", _VENV / ".installed"
_LOCK, _PROJECTS = Path("requirements.lock"), ("pyproject.toml", "client/pyproject.toml")
_PIP = (str(_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input")
# The options of pip that say where packages come from, with uv's variable for each: uv does not read pip's settings.
_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


def uv_environment() -> dict[str, str]:
    """Return environment variables with which uv installs from the indexes that pip is configured for."""
    listed = subprocess.run([*_PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    # Later sections override earlier ones, as in pip. Like pip, uv searches all indexes; the hashes of the lock decide.
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "1"}
    for section in ("global", "install", ":env:"):
        for option, value in re.findall(rf"^{section}\.(\S+?)=(.*)$", listed, re.MULTILINE):
            if variable := _VARIABLES.get(option):
                separator = "," if option == "find-links" else " "
                found[variable] = separator.join(str(ast.literal_eval(value)).split())
    if not os.access(os.environ.get("HOME", "/nonexistent"), os.W_OK):
        found["UV_NO_CACHE"] = "1"
    return {**found, **os.environ, "VIRTUAL_ENV": str(_VENV.absolute())}


def main() -> None:
    """Install the packages of the lock and the checkout, unless that is done. Exit with an error if it fails."""
    with _LOCK.open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(Path(file).stat().st_mtime for file in (_LOCK, *_PROJECTS))
        if _STAMP.exists() and _STAMP.stat().st_mtime >= newest:
            return  # another make has installed them meanwhile
        started = time.monotonic()
        if not _STAMP.exists() or not _has_pip():
            print("Making .venv, about 600 MB with all packages …", flush=True)
            venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(_VENV)
        _STAMP.unlink(missing_ok=True)
        entry = re.search(r"^uv==(?:.|\n)*?(?=^\S|\Z)", lock.read(), re.MULTILINE)
        assert entry is not None
        (_VENV / "uv.txt").write_text(entry[0], encoding="utf-8")
        _run(*_PIP, "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(_VENV / "uv.txt"))
        _run(str(_UV), "pip", "install", "--require-hashes", "-r", str(_LOCK))
        _run(str(_UV), "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", "client")
        _run(str(_UV), "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
        _STAMP.touch()
        print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)


def _has_pip() -> bool:
    # An upgrade of the system's Python leaves an environment without pip.
    return (
        _PYTHON.exists()
        and subprocess.run([*_PIP, "--version"], capture_output=True, check=False).returncode == 0
    )


def _run(*command: str) -> None:
    with subprocess.Popen(
        command, env=uv_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith((" + ", " - ", " ~ ")):  # uv's line for each package
                print(line, end="", flush=True)
    if process.returncode:
        sys.exit(process.returncode)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, OSError) as error:
        # An interrupted `shutil.rmtree` ends with an OSError of the folder that it closes.
        if not isinstance(error, KeyboardInterrupt) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        sys.exit("\nStopped. The next make goes on.")
