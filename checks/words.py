"""Report words that docs/glossary.md replaces: `python -m checks.words [--count] PATH...`.

Looks at names of files and of code, docstrings, comments, and texts of help and documentation: arguments and
dictionary values named `description`, `summary` and the like, and every constant of a package `openapi`. In
names of tests it looks for words without a capital letter only; in Markdown at everything but code. Other
strings are left alone: error texts belong to the contract.

A docstring also must not begin with a pronoun or a question word ("What ...", "Return who ..."): it names the
thing.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

__all__ = ["find_openings", "find_words", "read_glossary"]

_ROOT = Path(__file__).parents[1]
_GLOSSARY = _ROOT / "docs/glossary.md"
_SKIPPED = frozenset({"CHANGELOG.md", "contract.md"})
_DOCUMENTED = frozenset({"summary", "description", "response_description", "help", "short_help", "epilog"})
# The package with modules of published texts.
_PUBLISHED = "openapi"
_FENCE = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2", re.MULTILINE | re.DOTALL)
# A docstring that begins without a noun.
_OPENING = re.compile(r"(?:(?:Whatever|What|Who|How|Those|The one)|Return (?:what|who|how(?! many\b)))\b")
# Code, and targets of links.
_INLINE = re.compile(r"`[^`\n]+`|\]\([^)\n]+\)")

# A line number and a text.
Line = tuple[int, str]


def read_glossary(text: str) -> dict[str, str]:
    """Return the words that the tables of the glossary replace, each with the word to use instead."""
    replaced: dict[str, str] = {}
    for line in text.splitlines():
        match line.strip("|").split("|"):
            case [use, _, words]:
                replaced |= dict.fromkeys(re.findall(r"`([^`]+)`", words), use.strip())
            case _:
                continue
    return replaced


def find_words(path: Path, glossary: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Yield line number and word for each use of a replaced word in a Python or Markdown file."""
    source = path.read_text()
    yield from _match([(1, path.stem)], _pattern(word for word in glossary if word.islower()))
    if path.suffix == ".md":
        yield from _match(_prose(source), _pattern(word for word in glossary if word.islower()))
        return
    names = [word for word in glossary if word.islower() or "tests" not in path.parts]
    yield from _match(_names(source), _pattern(names), normalize=_as_snake_case)
    module = ast.parse(source)
    texts = [*_comments(source), *_docstrings(module), *_documentation(module)]
    if path.parent.name == _PUBLISHED:
        texts += _constants(module)
    texts = sorted(set(texts))
    yield from _match(texts, _pattern(word for word in glossary if word.islower()))


def find_openings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and opening of each docstring in a Python file that begins without a noun or a verb."""
    if path.suffix == ".py":
        for number, text in _docstrings(ast.parse(path.read_text())):
            if found := _OPENING.match(text.lstrip()):
                yield number, found.group()


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    # In any case; parts of names are words.
    parts = (re.escape(_as_snake_case(word)) for word in words)
    return re.compile(rf"(?<![A-Za-z])(?:{'|'.join(parts)})(?![A-Za-z])", re.IGNORECASE)


def _as_snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def _match(
    lines: Iterator[Line] | list[Line], pattern: re.Pattern[str], *, normalize: Callable[[str], str] = str
) -> Iterator[tuple[int, str]]:
    for number, text in lines:
        for offset, line in enumerate(text.splitlines()):
            yield from ((number + offset, found.group()) for found in pattern.finditer(normalize(line)))


def _prose(source: str) -> Iterator[Line]:
    blank = _FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence.group()), source)
    yield 1, _INLINE.sub(lambda code: " " * len(code.group()), blank)


def _names(source: str) -> Iterator[Line]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def _comments(source: str) -> Iterator[Line]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _docstrings(module: ast.Module) -> Iterator[Line]:
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield node.body[0].lineno, text


def _documentation(module: ast.Module) -> Iterator[Line]:
    for node in ast.walk(module):
        if isinstance(node, ast.keyword) and node.arg in _DOCUMENTED:
            yield from _strings(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in _DOCUMENTED:
                    yield from _strings(value)


def _constants(module: ast.Module) -> Iterator[Line]:
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield from _strings(node.value)


def _strings(value: ast.expr) -> Iterator[Line]:
    for part in ast.walk(value):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value


def _files(paths: list[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.suffix in {".md", ".py"} and file.name not in _SKIPPED)


def main(arguments: list[str]) -> int:
    """Print each use of a replaced word and each wrong docstring opening; return 1 if there is any, else 0.

    With `--count`, print only the number of uses of each word, and return 0.
    """
    glossary = read_glossary(_GLOSSARY.read_text())
    paths = [argument for argument in arguments if argument != "--count"]
    uses = {_as_snake_case(word).lower(): use for word, use in glossary.items()}
    hits = [(file, line, word) for file in _files(paths) for line, word in find_words(file, glossary)]
    if len(paths) < len(arguments):
        for word, count in Counter(word.lower() for _, _, word in hits).most_common():
            print(f"{count:5} {word}")
        return 0
    for file, line, word in hits:
        use = uses[word.lower()]
        print(f"{file}:{line} {word} -> {use}")
    openings = [(file, line, opening) for file in _files(paths) for line, opening in find_openings(file)]
    for file, line, opening in openings:
        print(f"{file}:{line} docstring begins with {opening!r} -> a noun or a verb")
    return int(bool(hits or openings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
