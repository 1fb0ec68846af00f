"""Things that the prose names exist, and things that exist are named in the prose."""

import ast
import io
import re
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from app import errors
from app.config import Settings
from app.enums import DeliveryError, Scope
from app.services.events.event_types import CATALOGUE
from checks.structure import EXCEPTIONS
from tests.test_architecture import RULES
from tests.test_mirror import THEMES

_ROOT = Path(__file__).parents[1]
_DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "migrations/*.md") for path in _ROOT.glob(pattern)
)
_PREFIX = str(Settings.model_config["env_prefix"])
# Paths of the code, as prose writes them.
_CODE_PATH = re.compile(r"`((?:app|tests|migrations|docs|bench)(?:/[\w.]+)+/?|(?:[\w.-]+/)+[\w.-]+\.py)`")
# Files of the code, as comments and docstrings write them; no patterns such as `*.py`.
_FILE_NAME = re.compile(r"(?<![\w/.*-])[\w./-]*\w\.(?:py|md)\b")
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)]*))?\)")


def _text(*names: str) -> str:
    return "\n".join((_ROOT / name).read_text() for name in names)


def _settings() -> list[str]:
    return [f"{_PREFIX}{name}".upper() for name in Settings.model_fields]


def _codes() -> Iterator[str]:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.AppError) and "code" in vars(kind):
            yield kind.code


def test_settings_that_documents_name_exist() -> None:
    text = _text(".env.example", "compose.yaml", *(str(document) for document in _DOCUMENTS))
    named = set(re.findall(rf"\b{_PREFIX}[A-Z0-9_]+\b", text))

    # The agent `runbook` sets the first for its blocks, and the second is set for checks. The client reads the others.
    of_client = {f"TASKBEACON_{name}" for name in ("URL", "TOKEN", "PROJECT", "PROFILE", "DEBUG")}
    assert named - set(_settings()) == {"TASKBEACON_ANSWER", "TASKBEACON_CHECK", *of_client}


def test_guide_explains_every_scope() -> None:
    text = _text("docs/guide/administration.md")

    assert [scope for scope in Scope if f"`{scope}`" not in text] == []


def test_event_types_and_failures_of_deliveries_are_in_the_guide() -> None:
    text = _text("docs/guide/webhooks.md")

    assert [name for name in (*CATALOGUE, *DeliveryError) if f"`{name}`" not in text] == []


def test_error_codes_are_documented() -> None:
    text, codes = _text("docs/contract.md", "docs/guide/errors.md"), set(_codes())

    assert codes
    assert {code for code in codes if f"`{code}`" not in text} == set()


def test_every_make_target_has_help() -> None:
    makefile = _text("Makefile")
    targets = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    silent = [
        name
        for line in targets
        for name in line.split()
        if not re.search(rf"^{re.escape(name)}:.*## \S", makefile, re.MULTILINE)
    ]

    assert {"help", "demo", "run", "test", "check"} <= {name for line in targets for name in line.split()}
    assert silent == []


def test_tests_that_make_names_exist() -> None:
    named = set(re.findall(r"\btests/[\w/.]+", _text("Makefile")))

    assert {"tests/contract", "tests/services"} <= named
    assert [name for name in named if not (_ROOT / name).exists()] == []


def test_help_of_make_is_in_one_column() -> None:
    makefile = _text("Makefile")
    (width,) = re.findall(r"printf \"  make %-(\d+)s %s", makefile)
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)

    assert int(width) == max(map(len, targets))


def test_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", _text("Makefile"), re.MULTILINE))
    named = {
        quoted or typed
        for document in _DOCUMENTS
        for quoted, typed in re.findall(
            r"`make ([a-z][\w-]*)|^make ([a-z][\w-]*)\s+#", document.read_text(), re.MULTILINE
        )
    }

    assert named - targets == set()
    assert {"demo", "test", "run"} <= named


def test_overviews_fill_two_pages_at_most() -> None:
    for document, lines, words in (
        ("README.md", 150, 1000),
        ("ARCHITECTURE.md", 110, 1000),
        ("CONTRIBUTING.md", 130, 1500),
    ):
        text = _text(document)
        assert (len(text.splitlines()) <= lines, len(text.split()) <= words) == (True, True), document


def test_every_page_of_the_guide_is_in_its_index() -> None:
    pages = {path.name for path in (_ROOT / "docs/guide").glob("*.md")} - {"index.md"}

    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", _text("docs/guide/index.md")))


def test_index_of_decisions_says_what_they_say() -> None:
    index = _text("docs/adr/index.md")
    listed = dict(re.findall(r"\| \[(.+?)\]\(\d+-[\w-]+\.md\) \| (accepted.*) \|", index))
    decisions, former = {}, {}
    for path in sorted((_ROOT / "docs/adr").glob("0*.md")):
        head = re.match(r"# (\d+)\. (.+)\n\nStatus: ((?:.+\n)+)", path.read_text())
        assert head is not None, path
        number, title, status = head[1], head[2], " ".join(head[3].split())
        decisions[title] = status
        for numbers in re.findall(r"(?:with what was|replaces) ([\d, and]+)", status):
            former[number] = re.findall(r"\d+", numbers)
    gone = {
        where: re.findall(r"\d+", was) for was, where in re.findall(r"\| ([\d, ]+) \| \[(\d+)\]\S+ \|", index)
    }
    numbers = [
        *re.findall(r"\| (\d+) \| \[.+ \| accepted", index),
        *(was for each in gone.values() for was in each),
    ]

    assert listed == decisions
    assert gone == former
    # There was no decision 59.
    assert sorted(map(int, numbers)) == [number for number in range(1, len(numbers) + 2) if number != 59]


def test_links_of_documents_resolve() -> None:
    broken = [
        f"{document}: {target}#{anchor}"
        for document in _DOCUMENTS
        for target, anchor in _LINK.findall(document.read_text())
        if "://" not in target and not _resolves(document.parent / target if target else document, anchor)
    ]

    assert broken == []


def _resolves(target: Path, anchor: str) -> bool:
    if not anchor:
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_files_that_documents_name_exist() -> None:
    missing = [
        f"{document}: {path}"
        for document in _DOCUMENTS
        for path in _CODE_PATH.findall(document.read_text())
        if not (_ROOT / path).exists()
    ]

    assert missing == []


def test_files_that_references_of_decisions_name_exist() -> None:
    decisions = sorted((_ROOT / "docs" / "adr").glob("0*.md"))
    missing = [
        f"{decision.name}: {name}"
        for decision in decisions
        if "superseded" not in _status_of(decision.read_text())
        for name in _names_of_nothing(_references_of(decision.read_text()))
    ]

    assert decisions
    assert missing == []


def test_name_without_a_folder_is_looked_for_beside_the_one_before_it() -> None:
    references = "`app/services/notifications/rules`, `push_claims.py`, `gone.py`; `app/main.py`, `errors.py`, `app/none`."

    assert list(_names_of_nothing(references)) == ["gone.py", "app/none"]


def _status_of(decision: str) -> str:
    return decision.partition("## Context")[0].lower()


def _references_of(decision: str) -> str:
    return decision.partition("## References")[2]


def _names_of_nothing(references: str) -> Iterator[str]:
    """Yield what references name that exists neither in the repository nor beside the file named before it."""
    beside = _ROOT
    for name in re.findall(r"`([\w./-]+(?:/[\w.-]+|\.py|\.md))`", references):
        path = _ROOT / name if "/" in name else beside / name
        if not path.exists() and not (_ROOT / name).exists():
            yield name
        beside = path.parent


def test_files_that_comments_and_docstrings_name_exist() -> None:
    missing = [
        f"{source.relative_to(_ROOT)}: {name}"
        for folder in ("app", "bench", "checks", "migrations", "tests")
        for source in (_ROOT / folder).rglob("*.py")
        for name in _names_of_no_file(_prose(source.read_text()), beside=source.parent)
    ]

    assert missing == []


def test_name_of_no_file_is_found_in_comments_and_docstrings_only() -> None:
    source = (
        '"""As services/enqueueing.py, gone.py."""\n# See lost.md and conftest.py.\nFILE = "elsewhere.py"\n'
    )

    assert list(_names_of_no_file(_prose(source), beside=_ROOT / "tests")) == ["lost.md", "gone.py"]


def test_files_that_reasons_of_exceptions_name_exist() -> None:
    themes = {f"app/{test}": reason for test, reason in THEMES.items()}
    missing = [
        f"{place}: {name}"
        for reasons in (themes, EXCEPTIONS, *(rule.allowed for rule in RULES.values()))
        for place, reason in reasons.items()
        for name in _names_of_no_file(reason, beside=(_ROOT / place).parent)
    ]

    assert missing == []


def _prose(source: str) -> str:
    """Return the comments and docstrings of a module; "" if nothing in it looks like the name of a file."""
    # Most modules name none, and reading the text of one as Python takes a hundred times as long.
    if not _FILE_NAME.search(source):
        return ""
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    docstrings = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return "\n".join([*comments, *docstrings])


def _names_of_no_file(prose: str, *, beside: Path) -> Iterator[str]:
    """Yield the file names in prose that exist neither in the repository, in `app`, nor in the folder `beside`."""
    for name in _FILE_NAME.findall(prose):
        if not any((folder / name).exists() for folder in (_ROOT, _ROOT / "app", beside)):
            yield name


def test_architecture_names_every_package_and_module_of_app() -> None:
    packages = {path.parent.name for path in (_ROOT / "app").glob("*/__init__.py")}
    modules = {path.stem for path in (_ROOT / "app").glob("*.py")} - {"__init__"}
    named = re.findall(r"`app/(\w+)(?:\.py)?`", "\n".join(_rows("package")))

    assert sorted(named) == sorted(packages | modules)


def test_table_of_architecture_is_the_layers_that_imports_are_checked_for() -> None:
    contracts = tomllib.loads(_text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = [re.findall(r"app\.(\w+)", layer) for layer in contracts[0]["layers"]]

    assert [re.findall(r"`app/(\w+)(?:\.py)?`", row.split("|")[1]) for row in _rows("package")] == layers


def test_contract_about_fastapi_covers_the_worker_and_every_layer_below_web() -> None:
    contracts = tomllib.loads(_text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (covered,) = (
        set(contract["source_modules"])
        for contract in contracts
        if "fastapi" in contract.get("forbidden_modules", ())
    )
    layers = [set(re.findall(r"app\.\w+", layer)) for layer in contracts[0]["layers"]]
    web = next(number for number, layer in enumerate(layers) if layer == {"app.web"})

    assert covered == {"app.worker"}.union(*layers[web + 1 :])


def test_table_of_architecture_names_the_folders_beside_app() -> None:
    rows = [row.split("|")[1].strip(" `") for row in _rows("beside `app`")]
    folders = {path.name for path in _ROOT.iterdir() if (path / "__init__.py").exists()} - {"app"}

    assert folders | {"client", "console", "deploy"} == set(rows)
    assert all((_ROOT / row).is_dir() for row in rows)


def _rows(heading: str) -> list[str]:
    """Return the rows of the table of ARCHITECTURE.md with the given first heading."""
    _, table = _text("ARCHITECTURE.md").split(f"| {heading} |", maxsplit=1)
    return table.split("\n\n", maxsplit=1)[0].splitlines()[2:]


def test_glossary_defines_each_word_once() -> None:
    defined, _ = _text("docs/glossary.md").split("## Words to qualify")
    words = re.findall(r"^\| ([^|`]+) \|", defined, re.MULTILINE)
    heading = {"word"}

    assert [word for word, times in Counter(words).items() if times > 1 and word not in heading] == []
    assert "run" in words


def test_every_decision_is_in_the_index_with_its_title_and_status() -> None:
    index = _text("docs/adr/index.md")
    decisions = sorted((_ROOT / "docs/adr").glob("[0-9]*.md"))

    rows = {
        f"| {int(number)} | [{title}]({path.name}) | {' '.join(status.split())} |"
        for path in decisions
        for number, title, status in re.findall(
            r"\A# (\d+)\. ([^\n]+)\n\nStatus: (.+?)\n\n", path.read_text(), re.DOTALL
        )
        if path.name.startswith(f"{number:0>4}-")
    }
    assert len(rows) == len(decisions) >= 8
    assert rows - set(index.splitlines()) == set()


def test_decisions_have_every_part_on_one_page() -> None:
    for decision in sorted((_ROOT / "docs/adr").glob("[0-9]*.md")):
        text = decision.read_text()
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)

        assert parts == ["Context", "Decision", "Consequences", "Alternatives", "References"], decision
        assert len(text.splitlines()) <= 60, decision
        assert "`tests/" in text or ".test.ts`" in text, decision
