"""Keys of objects and the file names in them: any name is safe, and no path leads out of its folder (contract 8.1)."""

import unicodedata
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.clients.storage.storage_keys import RunRef, owner_of_key, safe_name, staged_folder

PROJECT = 7
TASK = UUID("019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40")
RUN = UUID("019ca8a6-9a40-7d11-8a5b-6c7d8e9f0a1b")
ID = "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d"
HOSTILE = [
    "..",
    "../../etc/passwd",
    "a/../../b",
    "....//....//x",
    "%2e%2e%2fx",
    "..%c0%afx",
    "C:\\windows\\system32",
    "\\\\host\\share",
    "file:///etc/passwd",
    "x${filename}",
    "${filename}",
    "cod\u202egnp.exe",
    "a\u2066b\u2069c",
    "a\u200bb",
    "\ufeffname",
    "line\nbreak",
    "tab\tname",
    "bell\x07",
    "\x7f",
    "\x85",
    "x" * 255,
    "é" * 255,
    "\U0001f600" * 255,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
    ".pdf",
    "a." + "b" * 253,
    '"; filename="evil.exe',
    "a\r\nSet-Cookie: x=1",
    "con",
    "-rf",
    "~",
    "\ud800",
    "dir/",
    " / ",
    "e\u0301.txt",
]
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=300), st.text("./\\$%{}\u202e\n ", max_size=40))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        pytest.param("a/b.txt", "b.txt", id="8.1-last-segment"),
        pytest.param("dir/", "artifact", id="8.1-folder"),
        pytest.param(" a.txt ", "a.txt", id="8.1-trimmed"),
        pytest.param(".", "artifact", id="8.1-dot"),
        pytest.param("x/..", "artifact", id="8.1-dots"),
        pytest.param("cod\u202egnp.exe", "codgnp.exe", id="direction"),
        pytest.param("a\r\nb", "ab", id="control"),
        pytest.param("\U0001f468\u200d\U0001f469.png", "\U0001f468\u200d\U0001f469.png", id="joined-emoji"),
        pytest.param("e\u0301.txt", "e\u0301.txt", id="combining"),
        pytest.param("é" * 200 + ".pdf", "é" * 125 + ".pdf", id="long-keeps-suffix"),
    ],
)
def test_name_of_an_artifact_is_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(NAMES)
@example("\u2028")
@example("\u0ace")
def test_safe_name_is_one_visible_segment(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= 255
    assert "/" not in safe
    assert safe not in {".", ".."}
    # A character that this Python does not know yet may be visible: it stays.
    assert not {unicodedata.category(character) for character in safe} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(safe) & set("\0\n\r\t\u202e\u2066")
    assert safe_name(safe) == safe


@given(NAMES)
def test_keys_stay_below_their_prefix_and_are_accepted_back(name: str) -> None:
    staged = staged_folder(PROJECT, TASK).key(ID, name)
    on_run = RunRef(PROJECT, TASK, RUN).artifacts.key(ID, name)
    prefix = f"tasks/artifacts/team_{PROJECT}/task_{TASK}"
    assert staged.rpartition("/")[0] == f"{prefix}/staged/{ID}"
    assert on_run.rpartition("/")[0] == f"{prefix}/run_{RUN}"
    # What a store on a file system takes for one name.
    assert max(len(segment.encode()) for segment in f"{staged}/{on_run}".split("/")) <= 255
    assert len(staged) <= 500
    assert len(staged.encode()) <= 1024
    assert staged_folder(PROJECT, TASK).holds(staged, ID)
    assert RunRef(PROJECT, TASK, RUN).artifacts.holds(on_run, ID)
    assert owner_of_key(staged) == (PROJECT, TASK)


@given(NAMES, st.one_of(st.just(ID), NAMES))
def test_no_path_out_of_the_prefix_is_accepted(tail: str, artifact_id: str) -> None:
    prefix = f"tasks/artifacts/team_{PROJECT}/task_{TASK}/staged/"
    for path in (tail, prefix + tail, f"{prefix}{artifact_id}/{tail}", f"{prefix}{artifact_id}/../{tail}"):
        if staged_folder(PROJECT, TASK).holds(path, artifact_id):
            assert path == f"{prefix}{ID}/{safe_name(tail)}" or path.startswith(f"{prefix}{artifact_id}/")
            assert path.count("/") == 6
            assert not {".", ".."} & set(path.split("/"))
