"""SeaweedFS (the S3 protocol) from a wheel, for development and tests.

Chosen because it enforces every condition of a presigned form. One process has all its roles; only the S3
port answers HTTP, and the other ports need keys that stay in the data folder.
"""

import json
import os
import secrets
import shutil
import signal
import sysconfig
from http import HTTPStatus
from pathlib import Path

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from typing_extensions import override

from app.devstack.errors import DevstackError
from app.devstack.home import keep_private
from app.devstack.loopback import status_of
from app.devstack.processes import Child, Supervisor
from app.devstack.servers.local_server import LocalServer, find_program
from taskbeacon.client.settings import write_private

PORT_NAMES = (
    "s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
    "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip
_REGION = "us-east-1"
_BUCKET_SECONDS = 30
_JWT_KEYS = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)


class SeaweedFS(LocalServer):
    """A SeaweedFS server of the development stack: an object store with the S3 protocol."""

    name = "SeaweedFS"

    def __init__(self, folder: Path, ports: dict[str, int], *, durable: bool, bucket: str) -> None:
        super().__init__(folder, ports["s3.port"], durable=durable)
        self._ports = ports
        self.bucket = bucket
        self._keys = keep_private(
            folder / "keys.json",
            lambda: {
                "access_key_id": secrets.token_hex(10).upper(),
                "secret_access_key": secrets.token_urlsafe(30),
                **{name: secrets.token_hex(16) for name in _JWT_KEYS},
            },
        )

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TASKBEACON_S3_ENDPOINT_URL": self.url,
            "TASKBEACON_S3_BUCKET": self.bucket,
            "TASKBEACON_S3_REGION": _REGION,
            "TASKBEACON_S3_ACCESS_KEY_ID": self._keys["access_key_id"],
            "TASKBEACON_S3_SECRET_ACCESS_KEY": self._keys["secret_access_key"],
        }

    def start(self, supervisor: Supervisor, log: Path) -> Child:
        self.clean_up()
        data, identities = self._folder / "data", self._folder / "s3.json"
        data.mkdir(mode=0o700, exist_ok=True)
        credentials = {"accessKey": self._keys["access_key_id"], "secretKey": self._keys["secret_access_key"]}
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        identity = {"name": "app", "credentials": [credentials], "actions": actions}
        write_private(identities, json.dumps({"identities": [identity]}))
        options = [
            "-dir", str(data), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-s3.config", str(identities),
            "-s3.port.iceberg", "0", "-s3.port.lance", "0", "-s3.iam=false", "-s3.autoCreateBucket=false",
            "-volume.max", "30", "-volume.preStopSeconds", "0", "-admin.ui=false", "-webdav=false",
            "-disableHttp", "-master.telemetry=false", "-filer.localSocket", "filer.sock",
        ]  # fmt: skip
        for name, port in self._ports.items():
            options += [f"-{name}", str(port)]
        return supervisor.start(
            self.name,
            [str(_binary()), "-logtostderr", "mini", *options],
            environment={
                "PATH": os.defpath,
                "HOME": str(self._folder),
                **{name: self._keys[name] for name in _JWT_KEYS},
            },
            cwd=data,  # keeps the path of filer.sock short
            log=log,
            # SeaweedFS takes more than a second to end by SIGTERM.
            stop_signal=signal.SIGTERM if self._durable else signal.SIGKILL,
        )

    def is_ready(self) -> bool:
        return status_of(f"{self.url}/healthz", timeout=1) == HTTPStatus.OK

    @override
    def prepare(self) -> None:
        credentials = ReadOnlyCredentials(self._keys["access_key_id"], self._keys["secret_access_key"], None)
        request = AWSRequest(method="PUT", url=f"{self.url}/{self.bucket}")
        # The service's own S3 client would take 25 MB of the launcher's memory.
        S3SigV4QueryAuth(credentials, "s3", _REGION, expires=_BUCKET_SECONDS).add_auth(request)
        status = status_of(request.url, method="PUT", timeout=_BUCKET_SECONDS)
        # CONFLICT means that an earlier start has made the bucket.
        if status not in {HTTPStatus.OK, HTTPStatus.CONFLICT}:
            raise DevstackError(f"SeaweedFS did not make the bucket {self.bucket}: HTTP {status}")

    @override
    def clean_up(self) -> None:
        for port in self._ports.values():
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - the program ignores TMPDIR
                path.unlink(missing_ok=True)


def _binary() -> Path:
    # Like PG_BIN_DIR, WEED_BIN names a program; neither is a setting of the service.
    candidates = (os.environ.get("WEED_BIN"), f"{sysconfig.get_path('scripts')}/weed", shutil.which("weed"))
    programs = map(Path, filter(None, candidates))
    return find_program("SeaweedFS's `weed`", programs, settings="TASKBEACON_S3_ENDPOINT_URL")
