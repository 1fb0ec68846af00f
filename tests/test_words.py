"""The check that keeps replaced words out of code and prose (checks/words.py)."""

from pathlib import Path

import pytest

from checks.words import find_openings, find_words, main, read_glossary

GLOSSARY = read_glossary(
    "| word | meaning | replaces |\n|---|---|---|\n| report | output | `tell`, `told` |\n| slot | room | `Places` |\n"
)


def found(path: Path, text: str) -> list[tuple[int, str]]:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return sorted(find_words(path, GLOSSARY))


def test_glossary_gives_each_replaced_word_its_use() -> None:
    assert GLOSSARY == {"tell": "report", "told": "report", "Places": "slot"}


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ('"""Tell it.\n\nWas told.\n"""\n', [(1, "Tell"), (3, "told")]),
        ("# tell\n", [(1, "tell")]),
        ("def _tell_all() -> None: ...\n", [(1, "tell")]),
        ("class Places: ...\n", [(1, "Places")]),
        ("_PLACES = free_places = FreePlaces()\n", [(1, "PLACES"), (1, "Places"), (1, "places")]),
        ("marketplaces = Marketplaces()\n", []),
        ("# Places differ; a teller, untold\n", []),
        ('raise ValueError("I tell you")\n', []),
        ('option(help="Only tell.")\n', [(1, "tell")]),
        ('router.get(summary="First.",\n    description="One. "\n    "I told.")\n', [(2, "told")]),
        ('router.get(response_description="Told.")\n', [(1, "Told")]),
        ('TAGS = [{"name": "told", "description": "One."},\n    {"summary": f"Told {n}."}]\n', [(2, "Told")]),
    ],
)
def test_words_of_code_are_found(tmp_path: Path, text: str, hits: list[tuple[int, str]]) -> None:
    assert found(tmp_path / "module.py", text) == hits


def test_words_with_a_capital_letter_are_no_names_of_tests_only(tmp_path: Path) -> None:
    text = "# tell\ntold = 1\nplaces = Places()\n"

    assert found(tmp_path / "tests" / "test_it.py", text) == [(1, "tell"), (2, "told")]


def test_constants_are_read_in_packages_of_published_texts(tmp_path: Path) -> None:
    text = 'GUIDE = f"""One.\nTell {n}."""\n_MEANING: dict[int, str] = {1: "told"}\nlog("told")\n'

    assert found(tmp_path / "groups.py", text) == []
    assert found(tmp_path / "openapi" / "groups.py", text) == [(2, "Tell"), (3, "told")]


def test_prose_is_read_without_code_and_targets(tmp_path: Path) -> None:
    text = "We `tell` [them](docs/told.md).\n```sh\ntell\n```\nWe told\n"

    assert found(tmp_path / "page.md", text) == [(5, "told")]


def test_words_of_a_file_name_are_found(tmp_path: Path) -> None:
    assert found(tmp_path / "0007-told-by-rows.md", "") == [(1, "told")]


def test_hits_are_printed_with_the_word_to_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("Fine.\nSomebody came.\n")

    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{page}:2 Somebody -> ")
    assert main(["--count", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == ["1", "somebody"]


@pytest.mark.parametrize(
    ("docstring", "openings"),
    [
        ("What it is.", ["What"]),
        ("Whatever it is.", ["Whatever"]),
        ("How it ended.", ["How"]),
        ("Return how long it takes.", ["Return how"]),
        ("Return what was found.\n\n    What else?\n    ", ["Return what"]),
        ("Return how many there are.", []),
        ("However long. What it is.", []),
        ("The oneness of all.", []),
    ],
)
def test_docstrings_begin_with_a_noun_or_a_verb(tmp_path: Path, docstring: str, openings: list[str]) -> None:
    module = tmp_path / "tests" / "module.py"
    module.parent.mkdir()
    module.write_text(f'def act() -> None:\n    """{docstring}"""\n')

    assert [opening for _, opening in find_openings(module)] == openings


def test_wrong_openings_are_printed_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""Who asks."""\n')

    assert main([str(module)]) == 1
    assert capsys.readouterr().out.startswith(f"{module}:1 docstring begins with 'Who' -> ")
