"""Install the locked packages into `.venv`. Run by path with Python 3.11 or newer: standard library only.

    bootstrap.py run    the packages for `make run` and `make demo`
    bootstrap.py all    the same, and the developer tools

uv installs the packages, and is itself installed from the lock by pip. If uv has no wheel, or with
INSTALLER=pip, pip installs everything.

It is safe to interrupt (the stamp is written last, and a half-made environment is made again) and to run
twice at the same time (the second waits, then finds nothing to do).
"""

import ast
import fcntl
import os
import re
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

_VENV = Path(".venv")
_PYTHON = _VENV / "bin" / "python"
_UV = _VENV / "bin" / "uv"
_UNFINISHED = _VENV / ".unfinished"
_STAMPS = {"run": (_VENV / ".installed-run",), "all": (_VENV / ".installed-run", _VENV / ".installed")}
_LOCK = Path("requirements.lock")
_PROJECT = Path("pyproject.toml")
_PIP = (str(_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input")
# An editable installation of the checkout needs this beside the build system.
_EDITABLE = "editables"
# Measured. Byte code is not compiled here: processes compile only the modules that they load, which takes
# less time.
_NEEDS = {"run": "400 MB", "all": "650 MB"}
_SILENT_SECONDS = 10.0

Lock = dict[str, tuple[str, set[str]]]  # name of a package: its entry, and the packages that require it


def main() -> int:
    """Install a set of packages into `.venv`, and return an exit status.

    The command's argument names the set: `run` for those that the service needs to run, or `all`, the default.
    """
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    with _LOCK.open("rb") as lock:  # any file would do; this one is there
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another make is installing; waiting for it …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if any(_is_current(_STAMPS[larger][-1]) for larger in {what, "all"}):
            _STAMPS[what][-1].touch()
            return 0
        started = time.monotonic()
        status = _install(what)
        if status == 0:
            for stamp in _STAMPS[what]:
                stamp.touch()
            print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)
        return status


def _is_current(stamp: Path) -> bool:
    return stamp.exists() and all(stamp.stat().st_mtime >= file.stat().st_mtime for file in (_LOCK, _PROJECT))


def _install(what: str) -> int:
    lock = read_lock(_LOCK.read_text(encoding="utf-8"))
    names = set(lock) if what == "all" else packages_to_run(lock, _PROJECT.read_text(encoding="utf-8"))
    print(f"Setting up {_VENV}: {len(names)} packages, about {_NEEDS[what]} of disk.", flush=True)
    configuration = _make_environment()
    secrets = _hosts(configuration)
    with_uv = os.environ.get("INSTALLER") != "pip" and "uv" in lock
    if with_uv and (status := _install_uv(lock["uv"][0], secrets)):
        return status
    with_uv = with_uv and _has_uv()
    file = _VENV / "locked.txt"
    file.write_text("".join(lock[name][0] for name in sorted(names)), encoding="utf-8")
    installer: tuple[str, ...]
    if with_uv:
        print("Downloading and installing with uv, seconds on a fast line …", flush=True)
        installer = (str(_UV), "pip", "install", "--no-progress", "--python", str(_PYTHON))
    else:
        print("Downloading and installing with pip, a minute or two …", flush=True)
        installer = (*_PIP, "install", "--progress-bar", "off")
    environment = {**uv_environment(configuration, os.environ), "VIRTUAL_ENV": str(_VENV.absolute())}
    status = _run([*installer, "--require-hashes", "-r", str(file)], environment, secrets)
    if status == 0:
        _UNFINISHED.unlink(missing_ok=True)
        checkout = ("--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
        status = _run([*installer, *checkout], environment, secrets)
    elif with_uv:
        print("If pip gets further on this machine: make INSTALLER=pip …", file=sys.stderr, flush=True)
    return status


# The lock


def read_lock(text: str) -> Lock:
    """Return the entry of each package in a lock file: its lines, and the names of the packages that require it.

    `text` is the content of the lock file, as `uv pip compile --generate-hashes` writes it.
    """
    lock: Lock = {}
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        name = entry.partition("==")[0]
        # After the hashes: `# via one`, or a line `#   one` for each.
        lock[name] = (entry, set(re.findall(r"^ +# +(?:via +)?([a-z0-9][\w.-]*)", entry, re.MULTILINE)))
    return lock


def packages_to_run(lock: Lock, pyproject: str) -> set[str]:
    """Return the names of the packages in the lock that an installation without developer tools needs.

    These are the dependencies of the service, of the development servers and of the build, directly or through other
    packages. `pyproject` is the text of pyproject.toml. The set must be complete, because the installers accept only
    packages with a hash from the lock.
    """
    settings = tomllib.loads(pyproject)
    project = settings["project"]
    roots = [
        *project["dependencies"],
        *project["optional-dependencies"]["devstack"],
        *settings["build-system"]["requires"],
        _EDITABLE,
    ]
    found = {_name(root) for root in roots} & lock.keys()
    while more := {name for name, (_, askers) in lock.items() if askers & found} - found:
        found |= more
    return found


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


# The virtual environment and uv


def _make_environment() -> dict[str, str]:
    """Make the virtual environment unless one with a working pip exists; return the settings of its pip."""
    usable = _PYTHON.exists() and not _UNFINISHED.exists()
    if usable and (configuration := pip_configuration()) is not None:
        return configuration
    print(f"Making it with Python {sys.version.split()[0]} …", flush=True)
    # First: what an interrupted removal leaves must not count as an environment, and it may leave pip.
    _PYTHON.unlink(missing_ok=True)
    venv.EnvBuilder(clear=True, symlinks=True).create(_VENV)
    # Before pip, which seems to work long before all of it is there.
    _UNFINISHED.touch()
    venv.EnvBuilder(with_pip=True, symlinks=True).create(_VENV)
    return pip_configuration() or {}


def _install_uv(entry: str, secrets: Iterable[str]) -> int:
    """Install uv from the lock, if there is a wheel for this machine; return an exit status."""
    if _has_uv(f"uv {entry.split(maxsplit=1)[0].partition('==')[2]}"):
        return 0
    print("Fetching uv, the installer …", flush=True)
    file = _VENV / "uv.txt"
    file.write_text(entry, encoding="utf-8")
    command = [*_PIP, "install", "--quiet", "--only-binary", ":all:", "--no-deps", "--require-hashes"]
    done = subprocess.run([*command, "-r", str(file)], capture_output=True, text=True, check=False)
    # pip reports a package without a wheel for this machine and an index that does not respond in the same
    # words; but only for the latter it has tried again before.
    if done.returncode != 0 and "Retrying (" in done.stderr + done.stdout:
        print(_without(done.stderr.rstrip(), secrets), file=sys.stderr, flush=True)
        return done.returncode
    return 0


def _has_uv(version: str = "uv ") -> bool:
    try:
        said = subprocess.run([_UV, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return f"{said.strip()} ".startswith(f"{version.strip()} ")


# pip's configuration of the machine, which uv does not read


def pip_configuration() -> dict[str, str] | None:
    """Return the options from pip's configuration files and environment variables, or None if pip does not work.

    If an option is set in several places, the environment variable is used. Without one, the section `install` of a
    file takes precedence over its section `global`.
    """
    listed = subprocess.run([*_PIP, "config", "list"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return None
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.stdout.splitlines():
        place, _, value = line.partition("=")
        section, _, option = place.rpartition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def uv_environment(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with additional variables that make uv use the package indexes for which pip is configured.

    `pip` are pip's options by name. Variables of uv that are set in `environment` do not change.
    """
    bundles = (pip.get("cert"), environment.get("REQUESTS_CA_BUNDLE"), environment.get("CURL_CA_BUNDLE"))
    given = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        # As pip, which merges all indexes; the hashes decide.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "UV_NO_INDEX": "1" if _is_on(pip.get("no-index")) else None,
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "UV_SYSTEM_CERTS": "1",
        "SSL_CERT_FILE": next((bundle for bundle in bundles if bundle), None),
        "SSL_CLIENT_CERT": pip.get("client-cert"),
        "ALL_PROXY": pip.get("proxy"),
        "UV_HTTP_TIMEOUT": pip.get("timeout", pip.get("default-timeout")),
        "UV_NO_CACHE": "1" if _is_on(pip.get("no-cache-dir")) or not _can_keep_cache(environment) else None,
    }
    return {**{name: value for name, value in given.items() if value}, **environment}


def _is_on(value: str | None) -> bool:
    return (value or "").lower() in {"1", "true", "yes", "on"}


def _can_keep_cache(environment: Mapping[str, str]) -> bool:
    """Return whether uv's cache is writable; users without a home of their own have none."""
    home = Path(environment.get("HOME") or "/nonexistent")
    folder = Path(environment.get("UV_CACHE_DIR") or environment.get("XDG_CACHE_HOME") or home / ".cache")
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _hosts(pip: Mapping[str, str]) -> set[str]:
    """Return pip's configured hosts, with their credentials, which must not be printed."""
    words = " ".join(pip.get(name, "") for name in ("index-url", "extra-index-url", "find-links", "proxy"))
    places = {urlsplit(word).netloc for word in words.split()}
    return {part for place in places for part in (place, place.rpartition("@")[2]) if part}


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


# Progress


def _run(command: list[str], environment: Mapping[str, str], secrets: Iterable[str]) -> int:
    """Run an installer and return its exit status.

    Print large downloads and signs of progress; on failure, all output.
    """
    last_lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(environment)
    ) as process:
        assert process.stdout is not None
        reader = Thread(target=_show, args=(process.stdout, last_lines), daemon=True)
        started = time.monotonic()
        reader.start()
        while reader.is_alive():
            shown = len(last_lines)
            reader.join(_SILENT_SECONDS)
            if reader.is_alive() and len(last_lines) == shown:
                print(f"  … {time.monotonic() - started:.0f} s", flush=True)
    if process.returncode != 0:
        print(_without("".join(last_lines[-20:]).rstrip(), secrets), file=sys.stderr, flush=True)
    return process.returncode


def _show(output: Iterable[str], lines: list[str]) -> None:
    for line in output:
        lines.append(line)
        # uv prints the sizes of large packages, pip the name of the next one.
        if found := re.match(r"\s*(?:Downloading (\S+ \([\d.]+[MG]iB\))|Collecting ([\w.-]+))", line):
            print(f"  {found[1] or found[2]}", flush=True)
        elif line.startswith(("Prepared ", "Installing collected")):
            print("  unpacking …", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped. The next make goes on.", file=sys.stderr)
        sys.exit(130)
