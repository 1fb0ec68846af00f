"""The worker that checks the repositories of the gate, and the table of what it found."""

from _pytest.terminal import TerminalReporter

from tests.agents.check_execution.conftest import checking as checking  # noqa: PLC0414 - a fixture

FOUND = "found by the gate"


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print a line for each repository, with the verdict of each kind of work."""
    found = [
        row
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for key, row in report.user_properties
        if key == FOUND
    ]
    for row in [*map(list, found[:1]), *sorted(list(row.values()) for row in found)]:
        terminalreporter.write_line("".join(f"{word:13}" for word in row))
