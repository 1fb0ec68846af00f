"""The files of the console (contract 17.8), from a build of a few files."""

import gzip
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.web.console import files

INDEX = "<!doctype html><title>Console</title>"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: https://s3.example.com:9000; "
    "connect-src 'self' https://s3.example.com:9000; font-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.fixture
def not_built(application: FastAPI, tmp_path: Path) -> Generator[Path, None, None]:
    """The folder for a build, in place of that of the package."""
    of_package = application.state.console
    application.state.console = tmp_path / "dist"
    yield tmp_path / "dist"
    application.state.console = of_package


@pytest.fixture
def dist(not_built: Path, tmp_path: Path) -> Path:
    """A build."""
    folder = not_built
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "sw.js").write_text("self.onpush = null")
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / "assets" / "index-h4sh.js").write_text("console.log(1)")
    (folder / "assets" / "index-h4sh.js.gz").write_bytes(gzip.compress(b"console.log(1)"))
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.mark.usefixtures("dist")
class TestBuilt:
    @pytest.mark.parametrize("path", ["", "/", "/login", "/tasks/1/runs/2/", "/index.html", "/no.js", "/%00"])
    async def test_every_page_is_the_index(self, anonymous: httpx.AsyncClient, path: str) -> None:
        response = await anonymous.get(f"/console{path}")
        assert (response.status_code, response.text) == (200, INDEX)
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"
        again = await anonymous.get(
            f"/console{path}", headers={"If-None-Match": f'"x", W/{response.headers["ETag"]}'}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == response.headers["ETag"]

    async def test_hashed_files_are_immutable(self, anonymous: httpx.AsyncClient) -> None:
        url = "/console/assets/index-h4sh.js"
        for accepted, encoding in (
            ("identity", None),
            ("gzip, deflate, br", "gzip"),
            ("GZIP;q=0.5", "gzip"),
            ("gzip;q=0", None),
            ("gzip;q=0.000, br;q=1", None),
        ):
            response = await anonymous.get(url, headers={"Accept-Encoding": accepted})
            assert response.text == "console.log(1)"
            assert response.headers.get("Content-Encoding") == encoding
            assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert response.headers["Vary"] == "Accept-Encoding"
        assert (await anonymous.get("/console/assets/index-0ld.js")).status_code == 404

    async def test_brotli_is_preferred_to_gzip(self, anonymous: httpx.AsyncClient, dist: Path) -> None:
        (dist / "assets" / "index-h4sh.js.br").write_bytes(b"brotli")
        headers = {"Accept-Encoding": "gzip, br"}
        async with anonymous.stream("GET", "/console/assets/index-h4sh.js", headers=headers) as response:
            assert response.headers["Content-Encoding"] == "br"
            assert int(response.headers["Content-Length"]) == len(b"brotli")

    async def test_files_outside_of_assets_are_checked_each_time(self, anonymous: httpx.AsyncClient) -> None:
        for path, kind in (
            ("sw.js", "text/javascript; charset=utf-8"),
            ("manifest.webmanifest", "application/manifest+json"),
        ):
            response = await anonymous.get(f"/console/{path}")
            assert response.headers["Content-Type"] == kind
            assert response.headers["Cache-Control"] == "no-cache"

    @pytest.mark.parametrize(
        "path",
        ["../secret.txt", "%2e%2e/secret.txt", "assets/..%2f..%2fsecret.txt", "/secret.txt", "x" * 5000],
    )
    async def test_nothing_else_can_be_read(
        self, anonymous: httpx.AsyncClient, tmp_path: Path, path: str
    ) -> None:
        for wanted in (path, f"%2f{tmp_path}/secret.txt"):
            response = await anonymous.get(f"/console/{wanted}")
            assert "secret" not in response.text

    async def test_base_url_leads_to_it(self, anonymous: httpx.AsyncClient) -> None:
        assert (await anonymous.get("/")).headers["Location"] == "/console"

    async def test_head_is_answered_without_a_body(self, anonymous: httpx.AsyncClient) -> None:
        response = await anonymous.head("/console/")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["Content-Length"] == str(len(INDEX))

    async def test_policy_is_on_every_answer(self, anonymous: httpx.AsyncClient) -> None:
        for path in ("", "/sw.js", "/assets/index-h4sh.js"):
            headers = (await anonymous.get(f"/console{path}")).headers
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"


def test_policy_allows_the_object_store_alone() -> None:
    public = Settings(
        development=True,
        s3_endpoint_url="http://s3.internal:8333",
        s3_public_endpoint_url="https://s3.example.com:9000/path",
    )
    assert files.content_security_policy(public) == POLICY
    amazon = files.content_security_policy(
        Settings(development=True, s3_endpoint_url=None, s3_bucket="files", s3_region="eu-north-1")
    )
    assert "connect-src 'self' https://s3.eu-north-1.amazonaws.com https://files.s3." in amazon


@pytest.mark.usefixtures("not_built")
async def test_page_says_how_to_build_it(anonymous: httpx.AsyncClient) -> None:
    for path in ("/console", "/console/login", "/console/assets/index-h4sh.js"):
        response = await anonymous.get(path)
        assert response.status_code == 404
        assert "make console" in response.text
        assert response.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert (await anonymous.get("/")).headers["Location"] == "/docs"
