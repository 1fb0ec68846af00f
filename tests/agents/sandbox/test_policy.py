"""The parts of a folder that are private: what not everyone may read."""

from pathlib import Path

import pytest

from app.agents.sandbox.policy import private_parts, public_parts

pytestmark = pytest.mark.walls


def test_private_parts_are_what_not_everyone_may_read(tmp_path: Path) -> None:
    for name, mode in (("open", 0o755), ("closed", 0o750)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inner").write_text("x")
        (tmp_path / name).chmod(mode)
    (tmp_path / "open" / "key").write_text("x")
    (tmp_path / "open" / "key").chmod(0o640)
    (tmp_path / "link").symlink_to("open/key")

    private = private_parts(tmp_path)

    assert private == [tmp_path / "closed", tmp_path / "open" / "key"]
    assert list(public_parts(tmp_path, private)) == [tmp_path / "link", tmp_path / "open" / "inner"]
    assert list(public_parts(tmp_path / "open" / "inner", private)) == [tmp_path / "open" / "inner"]
    assert list(public_parts(tmp_path / "closed", private)) == []
