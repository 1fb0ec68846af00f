"""How code and tests look in each language of the gate: texts in which words in capitals stand for what differs."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Templates of one function with its tests, and how these are executed."""

    programs: tuple[str, ...]
    command: str
    # A command that writes no report shows nothing of a test that is gone.
    has_report: bool = False
    protected: tuple[str, ...] = ()
    setup: str = ""
    code: tuple[str, str]  # path, and text with EXPRESSION
    tests: tuple[str, str]  # path, and text with CASES
    case: str  # with NAME, INPUT and WANTED
    skipped: str  # likewise
    files: Mapping[str, str] = field(default_factory=dict)
    silenced: tuple[
        str, str, str
    ]  # the path of what executes the tests, a text in it, and what makes it end with 0


PYTEST = Language(
    programs=("python3",),
    command=".venv/bin/pytest --junitxml=report.xml",
    has_report=True,
    setup='[[setup]]\nshell = "python3 -m venv .venv; .venv/bin/pip install --quiet pytest"\ncache = [".venv"]\n',
    code=("counted.py", "def f(x):\n    return EXPRESSION\n"),
    tests=("test_counted.py", "import pytest\nfrom counted import f\nCASES"),
    case="def test_NAME():\n    assert f(INPUT) == WANTED\n",
    skipped="@pytest.mark.skip\ndef test_NAME():\n    assert f(INPUT) == WANTED\n",
    files={"conftest.py": "# Nothing yet.\n"},
    silenced=("conftest.py", "# Nothing yet.", "import os\ndef pytest_unconfigure(config): os._exit(0)"),
)
UNITTEST = Language(
    programs=("python3",),
    command="python3 tests/all.py",
    protected=("tests/**",),
    code=("counted.py", "def f(x):\n    return EXPRESSION\n"),
    tests=(
        "tests/test_counted.py",
        "import unittest\nfrom counted import f\nclass Tests(unittest.TestCase):\nCASES",
    ),
    case="    def test_NAME(self):\n        self.assertEqual(f(INPUT), WANTED)\n",
    skipped="    @unittest.skip('later')\n    def test_NAME(self):\n        self.assertEqual(f(INPUT), WANTED)\n",
    files={"tests/all.py": "import sys, unittest\nsys.path.insert(0, '.')\nunittest.main('test_counted')\n"},
    silenced=("tests/all.py", "'test_counted'", "'test_counted', exit=False"),
)
NODE = Language(
    programs=("node",),
    command="node --test --test-reporter=junit --test-reporter-destination=report.xml",
    has_report=True,
    code=("index.js", "exports.f = (x) => EXPRESSION\n"),
    tests=(
        "index.test.js",
        'const { deepEqual } = require("assert"), test = require("node:test"), { f } = require("./index.js")\nCASES',
    ),
    case='test("NAME", () => deepEqual(f(INPUT), WANTED))\n',
    skipped='test.skip("NAME", () => deepEqual(f(INPUT), WANTED))\n',
    silenced=("index.test.js", "const", 'process.on("exit", () => { process.exitCode = 0 })\nconst'),
)
_C_REPORT = """\
#include <stdio.h>
#define BEGIN int failed = 0; FILE *report = fopen("report.xml", "w"); fprintf(report, "<testsuite>");
#define END fprintf(report, "</testsuite>"); fclose(report); return failed;
#define EXECUTE(name, passed) \\
    fprintf(report, "<testcase name='" name "'>%s</testcase>", (passed) ? "" : (failed = 1, "<failure/>"));
#define SKIP(name) fprintf(report, "<testcase name='" name "'><skipped/></testcase>");
"""
C_WITH_REPORT = Language(
    programs=("cc", "make"),
    command="make check",
    has_report=True,
    code=("f.c", "long f(long x) { return EXPRESSION; }\n"),
    tests=(
        "test.c",
        '#include "report.h"\nlong f(long);\nint main(void) {\nBEGIN\nCASESEND\n}\n',
    ),
    case='EXECUTE("NAME", f(INPUT) == WANTED)\n',
    skipped='SKIP("NAME")\n',
    files={"report.h": _C_REPORT, "Makefile": "check:\n\tcc -Wall -o test f.c test.c\n\t./test\n"},
    silenced=("Makefile", "\t./test", "\t-./test"),
)
C = Language(
    programs=("cc", "make"),
    command="make check",
    protected=("Makefile", "tests/**"),
    code=("f.c", "long f(long x) { return EXPRESSION; }\n"),
    tests=("tests/test.c", "#include <assert.h>\nlong f(long);\nint main(void) {\nCASES}\n"),
    case="assert(f(INPUT) == WANTED); /* NAME */\n",
    skipped="/* NAME */\n",
    files={"Makefile": "check:\n\tcc -Wall -o test f.c tests/test.c\n\t./test\n"},
    silenced=("Makefile", "\t./test", "\t-./test"),
)
_SHELL_RUNNER = """\
. ./f.sh
failed=0
try() {
    fault='<failure/>'
    if [ "$(f $2)" = "$3" ]; then fault=; else failed=1; fi
    echo "<testcase name='$1'>$fault</testcase>"
}
skip() { echo "<testcase name='$1'><skipped/></testcase>"; }
{ echo '<testsuite>'; . ./cases.sh; echo '</testsuite>'; } >report.xml
exit $failed
"""
SHELL = Language(
    programs=("sh",),
    command="sh run.sh",
    has_report=True,
    code=("f.sh", "f() { EXPRESSION; }\n"),
    tests=("cases.sh", "CASES"),
    case="try NAME 'INPUT' 'WANTED'\n",
    skipped="skip NAME\n",
    files={"run.sh": _SHELL_RUNNER},
    silenced=("run.sh", "exit $failed", "exit 0"),
)
PERL = Language(
    programs=("prove",),
    command="prove",
    protected=("t/**", ".proverc"),
    code=("f.pl", "sub f { my ($x) = @_; return EXPRESSION }\n1;\n"),
    tests=("t/f.t", 'use Test::More;\nrequire "./f.pl";\nCASESdone_testing;\n'),
    case='is(f(INPUT), WANTED, "NAME");\n',
    skipped='SKIP: { skip "NAME", 1 }\n',
    files={".proverc": "--quiet\n"},
    silenced=(".proverc", "--quiet", "--exec 'echo 1..0'"),
)
AWK = Language(
    programs=("awk", "make"),
    command="make test",
    protected=("Makefile", "tests/**"),
    code=("f.awk", "{ print EXPRESSION }\n"),
    tests=("tests/cases", "CASES"),
    case="NAME:INPUT:WANTED\n",
    skipped="#NAME:INPUT:WANTED\n",
    files={
        "Makefile": (
            "test:\n\tgrep -v '^#' tests/cases | while IFS=: read name input wanted; do \\\n"
            '\t\ttest "$$(echo $$input | awk -f f.awk)" = "$$wanted" || exit 1; done\n'
        )
    },
    silenced=("Makefile", "exit 1", "exit 0"),
)
MAKE = Language(
    programs=("make",),
    command="make -C tests",
    protected=("tests/**",),
    code=("f.mk", "f = EXPRESSION\n"),
    tests=("tests/Makefile", "include ../f.mk\nall:\nCASES"),
    case="all: NAME\nNAME:\n\ttest '$(call f,INPUT)' = 'WANTED'\n",
    skipped="all: NAME\nNAME:\n\t@echo skipped\n",
    silenced=("tests/Makefile", "all:", ".IGNORE:\nall:"),
)
