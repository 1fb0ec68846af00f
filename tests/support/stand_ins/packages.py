"""A mirror of packages on loopback, as operators have one: wheels of what is installed here, and packages for npm."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email import message_from_string
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from threading import Thread
from typing import Any  # JSON

from packaging.requirements import Requirement
from typing_extensions import override


class Mirror:
    """A folder of packages, and the port where it is served."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables with which pip and npm install from here alone."""
        return {"PIP_FIND_LINKS": self.url, "PIP_NO_INDEX": "1", "npm_config_registry": self.url}

    def add_wheels(self, *names: str) -> None:
        """Add distributions that are installed here, with what they require."""
        for name in names:
            found = distribution(name)
            tags = message_from_string(found.read_text("WHEEL") or "").get_all("Tag", [])
            kinds = [
                ".".join(dict.fromkeys(part)) for part in zip(*(t.split("-") for t in tags), strict=True)
            ]
            wheel = self._folder / f"{'-'.join((name.replace('-', '_'), found.version, *kinds))}.whl"
            if wheel.exists():
                continue
            with zipfile.ZipFile(wheel, "w") as archive:
                for file in found.files or ():
                    # Nothing is compiled with the many headers of PostgreSQL.
                    if not {"..", "__pycache__", "include"}.intersection(file.parts):
                        archive.write(str(found.locate_file(file)), str(file))
            for required in map(Requirement, found.requires or ()):
                if required.marker is None or required.marker.evaluate({"extra": ""}):
                    self.add_wheels(required.name)

    def add_npm(self, name: str, files: Mapping[str, str]) -> dict[str, Any]:
        """Add a package of npm with these files; return its part of a lock file."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path, text in {
                "package.json": json.dumps({"name": name, "version": "1.0.0"}),
                **files,
            }.items():
                member = tarfile.TarInfo(f"package/{path}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        (self._folder / f"{name}-1.0.0.tgz").write_bytes(packed.getvalue())
        digest = base64.b64encode(hashlib.sha512(packed.getvalue()).digest()).decode()
        return {
            "version": "1.0.0",
            "resolved": f"{self.url}{name}-1.0.0.tgz",
            "integrity": f"sha512-{digest}",
        }


@contextmanager
def serving_mirror(folder: Path) -> Iterator[Mirror]:
    """Serve an empty mirror during the block."""
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield Mirror(folder, server.server_port)
        finally:
            server.shutdown()


class _Files(SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
