"""Check that each `# noqa` and `# type: ignore` has a reason: `python -m checks.ignores PATH...`.

The reason is on the line of the comment, after the codes, or in a comment on the line above. Prints one line
for each finding and ends with status 1 if there is any.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_bare_ignores"]

_IGNORE = re.compile(r"#\s*(?:noqa(?:\s*:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)?|type:\s*ignore(?:\[[^\]]*\])?)")
_WORD = re.compile(r"[A-Za-z]{2,}")


def find_bare_ignores(source: str) -> Iterator[int]:
    """Yield the line number of each `noqa` or `type: ignore` comment without a reason."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and _IGNORE.search(token.string):
            number = token.start[0]
            above = lines[number - 2].strip() if number > 1 else ""
            reasons = (_IGNORE.sub("", token.string), above if above.startswith("#") else "")
            if not any(_WORD.search(_IGNORE.sub("", reason)) for reason in reasons):
                yield number


def main(paths: list[str]) -> int:
    """Print each ignore comment without a reason below `paths`; return 1 if there is any, else 0."""
    findings = [
        (file, number)
        for path in paths
        for file in sorted(Path(path).rglob("*.py"))
        for number in find_bare_ignores(file.read_text(encoding="utf-8"))
    ]
    for file, number in findings:
        print(
            f"{file}:{number}: an ignore needs a reason, on its line or in a comment above", file=sys.stderr
        )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
