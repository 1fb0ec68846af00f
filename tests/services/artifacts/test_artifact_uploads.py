"""Headers and sizes of files, also of those whose names an attacker chose with care (contract 8)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.enums import ArtifactType
from app.services.artifacts.artifact_uploads import content_disposition, size_error
from tests.clients.storage.test_storage_keys import NAMES

MEBIBYTE = 2**20


@given(NAMES, st.text(max_size=60))
def test_disposition_is_one_header_line(name: str, content_type: str) -> None:
    header = content_disposition(name, content_type)
    assert header.isascii()
    assert header.isprintable()
    assert re.fullmatch(
        r"(?:inline|attachment); filename=\"[^\"\\]*\"(?:; filename\*=UTF-8''[\w.~%-]*)?", header
    )


ATTACHMENT, OTHER = ArtifactType.USER_ATTACHMENT, ArtifactType.OUTPUT
PDF_TEXT = "exceeds the 10MB attachment limit for PDFs in cloud runs"


@pytest.mark.parametrize(
    ("name", "type_", "content_type", "size", "error"),
    [
        ("a.txt", ATTACHMENT, "", 30 * MEBIBYTE, None),
        ("a.txt", ATTACHMENT, "", 30 * MEBIBYTE + 1, "a.txt exceeds the 30MB attachment limit"),
        ("A.PDF", ATTACHMENT, "", 10 * MEBIBYTE, None),
        ("A.PDF", ATTACHMENT, "", 10 * MEBIBYTE + 1, f"A.PDF {PDF_TEXT}"),
        ("a", ATTACHMENT, "Application/PDF; x=y", 10 * MEBIBYTE + 1, "a exceeds the 10MB attachment limit"),
        ("a.pdf", OTHER, "application/pdf", 10 * MEBIBYTE + 1, None),
        ("a.pdf", OTHER, "application/pdf", 30 * MEBIBYTE + 1, "a.pdf exceeds the 30MB attachment limit"),
    ],
)
def test_size_is_limited_by_type_of_artifact(
    name: str, type_: ArtifactType, content_type: str, size: int, error: str | None
) -> None:
    assert size_error(name, size, type_=type_, content_type=content_type) == error
