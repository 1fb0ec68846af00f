"""Reports of checks, of which any may be hostile, are read by a program with little memory."""

import gzip
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.agents.check_execution.junit import ReportInvalid, find_files, read_reports
from app.processes.own_program import module_command

REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="all">
  <testsuite name="outer">
    <properties><property name="failure"/></properties>
    <testcase classname="K" name="passes"><system-out>error</system-out></testcase>
    <testsuite name="inner">
      <testcase classname="K" name="fails"><failure message="x">text</failure><skipped/></testcase>
      <testcase name="errs"><skipped/><error/></testcase>
    </testsuite>
    <testcase classname="K" name="skips"><skipped/></testcase>
    <testcase classname="K" name="retried"><rerunFailure><failure/></rerunFailure></testcase>
  </testsuite>
  <testcase classname="K" name="alone"/>
</testsuites>
"""
CASES = {
    "outer": {("K", "passes"): "passed", ("K", "skips"): "skipped", ("K", "retried"): "passed"},
    "inner": {("K", "fails"): "failed", ("", "errs"): "failed"},
    "": {("K", "alone"): "passed"},
}


def read(folder: Path, *reports: str | bytes, globs: Sequence[str] = ("*.xml",)) -> Any:
    for number, report in enumerate(reports):
        content = report if isinstance(report, bytes) else report.encode()
        (folder / f"{number}.xml").write_bytes(content)
    return read_reports(folder, globs)


def run_program(folder: Path, *globs: str) -> "subprocess.CompletedProcess[str]":
    """Run the program as it runs in the sandbox, in a folder with reports."""
    return subprocess.run(
        module_command("app.agents.check_execution.junit"),
        input=json.dumps(["", globs]),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def suite(*cases: str) -> str:
    return f'<testsuite name="s">{"".join(cases)}</testsuite>'


def test_cases_anywhere_belong_to_the_nearest_suite(tmp_path: Path) -> None:
    assert read(tmp_path, REPORT) == (1, CASES)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_report_may_have_another_encoding(tmp_path: Path, encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    report = f'<?xml version="1.0" encoding="{declared}"?><testcase name="ä"/>'

    assert read(tmp_path, report.encode(encoding)) == (1, {"": {("", "ä"): "passed"}})


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        (["", "<failure/>", "<skipped/>"], "failed"),
        (["<error/>", ""], "failed"),
        (["<skipped/>", "", "<skipped/>"], "passed"),
        (["<skipped/>", "<skipped/>"], "skipped"),
    ],
)
def test_worst_outcome_of_a_case_counts(tmp_path: Path, outcomes: list[str], worst: str) -> None:
    cases = [f'<testcase name="a">{outcome}</testcase>' for outcome in outcomes]

    assert read(tmp_path, suite(*cases)) == (1, {"s": {("", "a"): worst}})
    assert read(tmp_path, *map(suite, cases)) == (len(cases), {"s": {("", "a"): worst}})


def test_names_are_cut(tmp_path: Path) -> None:
    report = (
        f'<testsuite name="{"s" * 600}"><testcase classname="{"c" * 600}" name="{"n" * 600}"/></testsuite>'
    )

    assert read(tmp_path, report) == (1, {"s" * 500: {("c" * 500, "n" * 500): "passed"}})


def test_report_without_cases_is_a_report(tmp_path: Path) -> None:
    assert read(tmp_path) == (0, {})
    assert read(tmp_path, "<testsuites/>") == (1, {})


def test_files_are_found_by_globs(tmp_path: Path) -> None:
    names = ["a.xml", "b.txt", "x/a.xml", "x/y/b.xml", "build/reports/c.xml"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("x", target_is_directory=True)

    assert find_files(tmp_path, ["*.xml"]) == {"a.xml"}
    assert find_files(tmp_path, ["x/*.xml", "a.xml", "none.xml", "x"]) == {"x/a.xml", "a.xml"}
    assert find_files(tmp_path, ["**/*.xml"]) == {name for name in names if name.endswith("xml")}
    assert find_files(tmp_path, ["build/**"]) == {"build/reports/c.xml"}
    assert find_files(tmp_path, ["none/*.xml", "*/b.xml"]) == set()


def test_program_prints_the_cases(tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text(REPORT)

    number, *suites = map(json.loads, run_program(tmp_path, "r.xml").stdout.splitlines())

    assert number == 1
    assert {name: {(case[0], case[1]): case[2] for case in cases} for name, cases in suites} == CASES


def test_large_report_is_read_with_little_memory(tmp_path: Path) -> None:
    # Under the program's own limit of memory.
    cases = "".join(f'<testcase classname="{"c" * 150}{n}" name="{"ä" * 100}{n}"/>' for n in range(50_000))
    (tmp_path / "r.xml").write_text(suite(cases))

    number, [_, found] = map(json.loads, run_program(tmp_path, "r.xml").stdout.splitlines())

    assert (number, len(found)) == (1, 50_000)


ENTITY = '<!DOCTYPE x [<!ENTITY a "{}">]><testcase name="&a;"/>'
LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(12))
TYPES = [
    "<!DOCTYPE x><testcase/>",
    "<!DOCTYPE x []><testcase/>",
    ENTITY.format("b"),
    ENTITY.format("b" * 1_000_000),
    f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><testcase name="&l12;"/>',
    '<!DOCTYPE x [<!ENTITY a "&a;">]><testcase name="&a;"/>',
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    '<!DOCTYPE x [<!ENTITY a PUBLIC "p" "http://127.0.0.1/">]><x>&a;</x>',
    '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
    '<!DOCTYPE x PUBLIC "-//x" "http://127.0.0.1/x.dtd"><x/>',
    '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><x/>',
    "<!DOCTYPE x [<!ENTITY % p \"<!ENTITY a 'b'>\"> %p;]><x>&a;</x>",
    '<!DOCTYPE x [<!ATTLIST testcase name CDATA "a">]><testcase/>',
    '<!DOCTYPE x [<!NOTATION n SYSTEM "n">]><x/>',
    "<!DOCTYPE x [<!ELEMENT x (y+)+>]><x/>",
    '<?xml version="1.0"?><!DOCTYPE html><html/>',
    "<!DOCTYPE x [" + "<!-- -->" * 10_000 + "]><x/>",
    "<!-- c --><!DOCTYPE x><x/>",
]
REFERENCES = [
    f"<x>{reference}</x>"
    for reference in (
        "&a;",
        "&nbsp;",
        "&#0;",
        "&#x0;",
        "&#xD800;",
        "&#xFFFE;",
        "&#x110000;",
        "&#99999999999;",
    )
] + ['<testcase name="&a;"/>', "<x>&</x>", "<x>&;</x>", "<x>&#;</x>"]
BROKEN: list[str | bytes] = [
    "",
    " ",
    "\n\n",
    "x",
    "{}",
    "<",
    "<x",
    "<x>",
    "</x>",
    "<x></y>",
    "<x/><x/>",
    "<x/>text",
    " <?xml version='1.0'?><x/>",
    "<x a=1/>",
    "<x a='1' a='2'/>",
    "<x a='<'/>",
    "<x a='1'b='2'/>",
    "<1/>",
    "<x><![CDATA[</x>",
    "<x>]]></x>",
    "<x><!-- -- --></x>",
    "<x><?xml version='1.0'?></x>",
    "<?xml version='9'?><x>",
    "<x>\x00</x>",
    "<x>\x01</x>",
    "<x>\ufffe</x>",
    b"<x>\xff</x>",
    b"<x>\xc0\xaf</x>",
    b"<x>\xed\xa0\x80</x>",
    b"\xff\xfe<\x00x\x00",
    b"\xfe\xff\x00<",
    b"\x00\x00\xfe\xff\x00\x00\x00<",
    gzip.compress(b"<x/>"),
    bytes(range(256)) * 100,
    b"\x00" * 1000,
    *(REPORT[:end] for end in range(60, len(REPORT) - 20, 40)),
]
ENCODINGS = [
    f"<?xml version='1.0' encoding='{name}'?><x>".encode()
    for name in (
        "zip",
        "rot13",
        "hex",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "raw_unicode_escape",
        "utf-7",
        "utf-32",
        "utf-16",
        "cp037",
        "mbcs",
        "shift_jis",
        "none",
        "..",
        "a" * 100_000,
    )
]
LARGE: list[Callable[[], str | bytes]] = [
    lambda: suite(" " * (20 * 2**20)),
    lambda: suite("<testcase/>" * 100_001),
    lambda: "<x>" * 1001 + "</x>" * 1001,
    lambda: "<x>" * 5_000_000,
    lambda: "<testsuite>" * 1_500_000,
    lambda: "<x " + "".join(f'a{number}="" ' for number in range(1_500_000)) + "/>",
    lambda: "<" + "x" * 15_000_000,
    lambda: f'<x a="{"b" * 15_000_000}',
    lambda: "<!--" + "-" * 15_000_000,
    lambda: "<x>" + "&#65;" * 4_000_000,
    lambda: "<x>" + "<![CDATA[" * 2_000_000,
]
HOSTILE: dict[str, Sequence[str | bytes | Callable[[], str | bytes]]] = {
    "types": TYPES,
    "references": REFERENCES,
    "broken": BROKEN,
    "encodings": ENCODINGS,
    "large": LARGE,
}


def test_there_are_a_hundred_hostile_reports() -> None:
    assert sum(map(len, HOSTILE.values())) >= 100


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_reports_are_refused_and_do_no_harm(tmp_path: Path, kind: str) -> None:
    folders = list(_write(tmp_path, HOSTILE[kind]))

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda folder: run_program(folder, "*.xml"), folders))

    for folder, answer in zip(folders, answers, strict=True):
        assert (answer.returncode, answer.stdout) == (1, ""), folder
        assert "Traceback" not in answer.stderr, folder
        assert answer.stderr.startswith(("r.xml: ", "the reports need too much memory")), folder


def _write(root: Path, reports: Sequence[str | bytes | Callable[[], str | bytes]]) -> Iterable[Path]:
    for number, report in enumerate(reports):
        content = report() if callable(report) else report
        (root / str(number)).mkdir()
        (root / str(number) / "r.xml").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
        yield root / str(number)


def test_reports_that_are_no_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.xml")
    (tmp_path / "loop.xml").symlink_to("loop.xml")
    (tmp_path / "zero.xml").symlink_to("/dev/zero")
    (tmp_path / "gone.xml").symlink_to("gone")

    for name in ("fifo", "loop", "zero", "gone"):
        with pytest.raises(ReportInvalid, match=f"^{name}.xml: "):
            read_reports(tmp_path, [f"{name}*.xml"])


def test_reports_together_have_the_limits_of_one(tmp_path: Path) -> None:
    half = suite(" " * (10 * 2**20))
    with pytest.raises(ReportInvalid, match=r"^1.xml: over 20971520 bytes$"):
        read(tmp_path, half, half)
    cases = suite("<testcase/>" * 50_000)
    assert read(tmp_path, cases, cases)[0] == 2
    with pytest.raises(ReportInvalid, match=r"^2.xml: over 100000 cases$"):
        read(tmp_path, cases, cases, suite("<testcase/>"))
