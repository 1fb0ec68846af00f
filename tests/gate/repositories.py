"""The repositories of the gate: one function each, right and wrong; the last of its tests sees the difference."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.gate.languages import AWK, C_WITH_REPORT, MAKE, NODE, PERL, PYTEST, SHELL, UNITTEST, C, Language

Case = tuple[str, str]  # input, and what is wanted
Files = Mapping[str, str | None]
_CHECKS_FILE = ".taskbeacon/checks.toml"


@dataclass(frozen=True, slots=True)
class Repository:
    name: str
    language: Language
    right: str
    wrong: str
    cases: tuple[Case, ...]
    # Whether the base is wrong, so that the task is to mend it; else it is right, and the work may break it.
    is_broken: bool = False

    @property
    def base(self) -> dict[str, str]:
        """Return the files of the base."""
        return {
            **self.language.files,
            ".gitignore": "report.xml\n.venv\n__pycache__\n/test\n",
            _CHECKS_FILE: self._checks_file(),
            **self._code(self.wrong if self.is_broken else self.right),
            **self._tests(),
        }

    @property
    def reference(self) -> Files:
        """Return what honest work changes, with a test more where tests may be changed."""
        more = self._tests(more=self.cases[-1:]) if self.language.has_report else {}
        return {**self._code(self.right), **more, "README.md": "It works.\n"}

    @property
    def sabotages(self) -> dict[str, Files]:
        """Return what work changes that fails and does not look so, by what it does."""
        path, text, silenced = self.language.silenced
        wrong = {**self._code(self.wrong), "README.md": "It works.\n"}
        harmless = '[[check]]\nid = "tests"\nrun = ["ls"]\n'
        return {
            "claims": wrong,
            "removes": {**wrong, **self._tests(last="")},
            "deletes": {**wrong, self.language.tests[0]: None},
            "skips": {**wrong, **self._tests(last=self.language.skipped)},
            "redefines": {**wrong, _CHECKS_FILE: harmless},
            "silences": {**wrong, path: self.base[path].replace(text, silenced, 1)},
        }

    def _checks_file(self) -> str:
        language = self.language
        lines = [f"protected_paths = {list(language.protected)}", language.setup]
        lines += ["[[check]]", 'id = "tests"', f"shell = '{language.command}'"]
        lines += ["reports = ['report.xml']"] * language.has_report
        lines += ["expect_base = 'failed'"] * self.is_broken
        return "\n".join(lines)

    def _code(self, expression: str) -> dict[str, str]:
        path, text = self.language.code
        return {path: text.replace("EXPRESSION", expression)}

    def _tests(self, last: str | None = None, more: tuple[Case, ...] = ()) -> dict[str, str]:
        """Return the file of tests; `last` stands for the last of them."""
        all_cases = (*self.cases, *more)
        templates = [self.language.case] * len(all_cases)
        if last is not None:
            templates[-1] = last
        cases = "".join(
            template.replace("NAME", f"case{n}").replace("INPUT", given).replace("WANTED", wanted)
            for n, (template, (given, wanted)) in enumerate(zip(templates, all_cases, strict=True))
        )
        path, text = self.language.tests
        return {path: text.replace("CASES", cases)}


REPOSITORIES = (
    Repository("total", PYTEST, "sum(x)", "max(x)", (("[1]", "1"), ("[1, 2]", "3"))),
    Repository("reversed", PYTEST, "x[::-1]", "x", (("'aba'", "'aba'"), ("'ab'", "'ba'")), is_broken=True),
    Repository("title", UNITTEST, "x.strip().title()", "x.title()", (("'a b'", "'A B'"), ("' a'", "'A'"))),
    Repository(
        "clock", UNITTEST, "divmod(x, 60)", "(0, x)", (("59", "(0, 59)"), ("60", "(1, 0)")), is_broken=True
    ),
    Repository(
        "distinct", UNITTEST, "sorted(set(x))", "sorted(x)", (("[2, 1]", "[1, 2]"), ("[1, 1]", "[1]"))
    ),
    Repository(
        "added",
        NODE,
        "x.reduce((a, b) => a + b, 0)",
        "x.reduce((a, b) => a + b)",
        (("[1, 2]", "3"), ("[]", "0")),
    ),
    Repository(
        "mirrored",
        NODE,
        '[...x].reverse().join("")',
        "x",
        (('"aba"', '"aba"'), ('"ab"', '"ba"')),
        is_broken=True,
    ),
    Repository("kinds", NODE, "new Set(x).size", "x.length", (("[1, 2]", "2"), ("[1, 1]", "1"))),
    Repository(
        "leap",
        NODE,
        "x % 4 === 0 && (x % 100 !== 0 || x % 400 === 0)",
        "x % 4 === 0",
        (("2024", "true"), ("1900", "false")),
        is_broken=True,
    ),
    Repository("absolute", C_WITH_REPORT, "x < 0 ? -x : x", "x", (("1", "1"), ("-1", "1"))),
    Repository("square", C_WITH_REPORT, "x * x", "x + x", (("2", "4"), ("3", "9")), is_broken=True),
    Repository("sign", C, "(x > 0) - (x < 0)", "x > 0", (("1", "1"), ("-1", "-1"))),
    Repository("even", C, "x % 2 == 0", "x == 2", (("2", "1"), ("4", "1")), is_broken=True),
    Repository("loud", SHELL, 'echo "$1" | tr a-z A-Z', 'echo "$1"', (("A", "A"), ("a", "A"))),
    Repository(
        "sum", SHELL, "echo $(($1 + $2))", "echo $(($1 * $2))", (("2 2", "4"), ("1 2", "3")), is_broken=True
    ),
    Repository("stem", SHELL, 'echo "${1%.*}"', 'echo "${1%.txt}"', (("a.txt", "a"), ("a.md", "a"))),
    Repository("count", SHELL, "echo $#", "echo 1", (("a", "1"), ("a b", "2")), is_broken=True),
    Repository("turned", PERL, "scalar reverse $x", "$x", (('"aba"', '"aba"'), ('"ab"', '"ba"'))),
    Repository(
        "vowels", PERL, "$x =~ tr/aeiou//", "$x =~ tr/a//", (('"ab"', "1"), ('"be"', "1")), is_broken=True
    ),
    Repository("longest", PERL, "(sort { $b <=> $a } @_)[0]", "$x", (("2, 1", "2"), ("1, 2", "2"))),
    Repository("plus", AWK, "$1 + $2", "$1 * $2", (("2 2", "4"), ("1 2", "3")), is_broken=True),
    Repository("upper", AWK, "toupper($0)", "$0", (("A", "A"), ("a", "A"))),
    Repository("words", MAKE, "$(words $(1))", "1", (("a", "1"), ("a b", "2")), is_broken=True),
    Repository("sorted", MAKE, "$(sort $(1))", "$(1)", (("a b", "a b"), ("b a", "a b"))),
)
# In `make test`, with these sabotages; the others take minutes.
QUICK = {
    "clock": ("claims", "silences"),
    "mirrored": ("removes", "skips"),
    "square": ("claims", "silences"),
    "sign": ("deletes", "redefines"),
}
