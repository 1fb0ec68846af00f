"""Every page of the help: as it was when somebody last read it, and whole in a narrow window."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taskbeacon.cli import main
from tests.client.command import Taskbeacon, commands
from tests.support.assertions import concerning

PAGES = Path(__file__).with_name("help.txt")


@pytest.fixture
def pages(taskbeacon: Taskbeacon, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, str]]:
    """Read all pages, by their commands, in a window so wide."""

    def read(columns: int) -> dict[str, str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        found = commands(main)
        groups = {name.partition(" ")[0] for name in found if " " in name}
        lines = {
            f"taskbeacon {name} --help".replace("  ", " "): name.split()
            for name in ("", *sorted({*groups, *found}))
        }
        read = {line: taskbeacon(*words, "--help") for line, words in lines.items()}
        read["taskbeacon help exit-codes"] = taskbeacon("help", "exit-codes")
        assert {(result.code, result.err) for result in read.values()} == {(0, "")}
        return {line: result.out for line, result in read.items()}

    return read


def test_help_is_as_it_was_read(pages: Callable[[int], dict[str, str]], tmp_path: Path) -> None:
    (found := tmp_path / "help.txt").write_text(
        "\n".join(f"$ {line}\n{text}" for line, text in pages(80).items()), encoding="utf-8"
    )
    assert PAGES.read_text(encoding="utf-8") == found.read_text(encoding="utf-8"), (
        f"read the new help, then: cp {found} {PAGES}"
    )


def test_help_is_whole_in_a_narrow_window(pages: Callable[[int], dict[str, str]]) -> None:
    wide = pages(80)
    for line, text in pages(40).items():
        with concerning(line):
            assert "\x1b" not in text
            if "\nCommands:\n" not in text:  # those have the beginnings of other pages
                assert text.split() == wide[line].split()
            assert max(map(len, text.splitlines())) <= 40
