"""Setting up `.venv` from the lock, by uv, which fetches from where pip would."""

import ensurepip
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from app.devstack.bootstrap import uv_environment
from tests.devstack.launchers import wait_for
from tests.support.deployment.processes import closed_port

ROOT = Path(__file__).parents[2]
BOOTSTRAP = ROOT / "app" / "devstack" / "bootstrap.py"
SECONDS = 200

pytestmark = pytest.mark.timeout(240)  # making an environment takes seconds, and a minute on a busy machine

PYPROJECT = """
[project]
name = "checkout"
version = "1"
dependencies = ["alpha>=1"]

[project.optional-dependencies]
devstack = []

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import shutil

def build_editable(folder, config_settings=None, metadata_directory=None):
    return shutil.copy("checkout-1-py3-none-any.whl", folder).rpartition("/")[2]
"""
# The uv of this environment in a wheel of the lock's.
UV = f"""#!/bin/sh
exec '{Path(sys.executable).parent / "uv"}' "$@"
"""


class Checkout:
    """A small project with a lock, in a folder with a space in its name, and the wheels that the lock names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "my project"
        self.wheels = folder / "wheels"
        self.folder.mkdir()
        self.wheels.mkdir()
        alpha = write_wheel(self.wheels, "alpha", {"alpha.py": ""})
        beta = write_wheel(self.wheels, "beta", {"beta.py": ""})
        uv = write_wheel(self.wheels, "uv", {"uv-1.data/scripts/uv": UV})
        write_wheel(self.folder, "checkout", {"checkout.py": ""})
        (self.folder / "backend.py").write_text(BACKEND)
        (self.folder / "pyproject.toml").write_text(PYPROJECT)
        client = self.folder / "client"
        client.mkdir()
        write_wheel(client, "part", {"part.py": ""})
        (client / "backend.py").write_text(BACKEND.replace("checkout", "part"))
        (client / "pyproject.toml").write_text(PYPROJECT.replace("checkout", "part"))
        self.lock = self.folder / "requirements.lock"
        self.lock.write_text("".join(map(lock_entry, (alpha, beta, uv))))

    def start(self, **variables: str) -> subprocess.Popen[str]:
        """Begin to set up; output is one stream."""
        return subprocess.Popen(
            [sys.executable, BOOTSTRAP],
            cwd=self.folder,
            env=self._environment() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def set_up(self, **variables: str) -> tuple[int, str]:
        """Set up; return status and output."""
        with self.start(**variables) as process:
            output, _ = process.communicate(timeout=SECONDS)
        return process.returncode, output

    def installed(self) -> set[str]:
        found = self.folder.glob(".venv/lib/*/site-packages/*.dist-info")
        return {path.name.partition("-")[0] for path in found} - {"part", "pip", "setuptools", "uv"}

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "UV_CACHE_DIR": str(self.wheels.parent / "cache"),
        }


def uv_version() -> str:
    (version,) = re.findall(r"^uv==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return str(version)


def write_wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    version = uv_version() if name == "uv" else "1"
    files = {path.replace("uv-1.", f"uv-{version}."): text for path, text in files.items()}
    about = f"{name}-{version}.dist-info"
    files |= {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{about}/RECORD": record}.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16  # a regular file
            archive.writestr(entry, text)
    return wheel


def lock_entry(wheel: Path) -> str:
    name, version, _ = wheel.name.split("-", maxsplit=2)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{name}=={version} \\\n    --hash=sha256:{digest}\n    # via checkout\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture(scope="module")
def pip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pip that new environments get, unpacked and compiled once: an environment takes seconds to get its own."""
    folder = tmp_path_factory.mktemp("pip")
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    with zipfile.ZipFile(next(bundled.glob("pip-*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture
def prepared(checkout: Checkout, pip_folder: Path) -> Checkout:
    """A checkout with an environment that holds nothing but pip, and that an earlier lock was installed into."""
    environment = checkout.folder / ".venv"
    venv.EnvBuilder(symlinks=True).create(environment)
    (packages,) = environment.glob("lib/*/site-packages")
    for part in pip_folder.iterdir():
        (packages / part.name).symlink_to(part)
    (environment / ".installed").touch()
    os.utime(environment / ".installed", (0, 0))
    return checkout


def test_interrupted_set_up_is_begun_again_by_a_second_one_that_waits(prepared: Checkout) -> None:
    environment = prepared.folder / ".venv"
    (environment / ".installed").unlink()  # as an interrupted installation leaves it
    (environment / "left").touch()
    with prepared.start() as first:
        wait_for(lambda: not (environment / "left").exists(), seconds=SECONDS, what="a new environment")
        os.killpg(first.pid, signal.SIGSTOP)
        with prepared.start() as second:
            for number in (signal.SIGINT, signal.SIGCONT):
                os.killpg(first.pid, number)
            stopped, _ = first.communicate(timeout=SECONDS)
            output, _ = second.communicate(timeout=SECONDS)

    assert first.returncode != 0
    assert stopped.endswith("Stopped. The next make goes on.\n")
    assert "Traceback" not in stopped
    assert second.returncode == 0, output
    assert "Making .venv" in output
    assert prepared.installed() == {"alpha", "beta", "checkout"}
    assert prepared.set_up() == (0, "")


@pytest.mark.parametrize("package", ["alpha", "uv"])
def test_package_with_another_hash_is_refused(prepared: Checkout, package: str) -> None:
    with next(prepared.wheels.glob(f"{package}-*")).open("ab") as wheel:
        wheel.write(b"\0")

    status, output = prepared.set_up()

    assert status != 0
    assert "hash" in output.lower()
    assert not (prepared.folder / ".venv" / ".installed").exists()


def test_password_of_an_index_is_not_shown(prepared: Checkout) -> None:
    index = f"http://somebody:hunter2@127.0.0.1:{closed_port()}/simple"

    status, output = prepared.set_up(
        PIP_INDEX_URL=index, PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_RETRIES="1"
    )

    assert status != 0
    assert "hunter2" not in output
    assert "Traceback" not in output


class QuietIndex(SimpleHTTPRequestHandler):
    """Serves a folder as it is."""

    @override
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(checkout: Checkout) -> Iterator[str]:
    """A package index of this machine with the wheels of the checkout."""
    root = checkout.folder.parent / "index"
    for wheel in checkout.wheels.iterdir():
        folder = root / "simple" / wheel.name.partition("-")[0]
        folder.mkdir(parents=True)
        wheel.rename(folder / wheel.name)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietIndex, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_uv_fetches_from_the_index_of_pips_configuration(prepared: Checkout, index: str) -> None:
    configuration = prepared.folder.parent / "pip.conf"
    configuration.write_text(f"[global]\nindex-url = {index}\n")

    status, output = prepared.set_up(PIP_CONFIG_FILE=str(configuration), PIP_NO_INDEX="0", PIP_FIND_LINKS="")

    assert status == 0, output
    assert prepared.installed() == {"alpha", "beta", "checkout"}


def test_configuration_of_pip_is_handed_to_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://mirror.example/simple\ntrusted-host = one.example\n  two.example\n"
        "cert = /etc/global.pem\n[install]\nfind-links = /one\n  /two\n[download]\nproxy = http://not.example\n"
    )
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("PIP_CERT", "/etc/own.pem")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.example https://b.example")
    monkeypatch.setenv("PIP_TIMEOUT", "9")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "7")
    monkeypatch.setenv("HOME", str(tmp_path / "nothing"))  # there is no place for a cache
    monkeypatch.chdir(ROOT)

    given = uv_environment()

    assert {name: value for name, value in given.items() if name.startswith(("UV_", "SSL_"))} == {
        "UV_HTTP_TIMEOUT": "7",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/one,/two",
        "UV_INSECURE_HOST": "one.example two.example",
        "UV_NO_CACHE": "1",
        "UV_SYSTEM_CERTS": "1",
        "SSL_CERT_FILE": "/etc/own.pem",
    }


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-image.lock"])
def test_lock_names_no_host(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()
