"""The table that `make bench` prints, and the ratios in it."""

from collections.abc import Sequence
from typing import Final

from bench.load import Cost

HEADER: Final = (
    "what",
    "who",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "server ms",
    "database ms",
    "to raw",
)


def row(name: str, who: str, cost: Cost, *, raw: Cost | None) -> tuple[str, ...]:
    """Return a row of the table of `make bench`: the cost of the requests `name` at the server `who`."""
    return (
        name,
        who,
        f"{cost.requests_per_second:.0f}",
        f"{cost.quantile_ms(0.5):.2f}",
        f"{cost.quantile_ms(0.99):.2f}",
        f"{cost.server_ms:.3f}",
        f"{cost.database_ms:.3f}",
        "" if raw is None else f"{cost.server_ms / raw.server_ms:.2f}",
    )


def timing(
    name: str, milliseconds: float, *, reference: float | None = None, referee: str = "reference"
) -> list[tuple[str, ...]]:
    """Return the row of a measured time in ms that is no request's, and the row of its reference, if any."""
    ratio = "" if reference is None else f"{milliseconds / reference:.2f}"
    lines: list[tuple[str, ...]] = [(name, "service", "", f"{milliseconds:.2f}", "", "", "", ratio)]
    if reference is not None:
        lines.append((name, referee, "", f"{reference:.2f}", "", "", "", ""))
    return lines


def render(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under their header as a Markdown table, in the form that docs/performance.md keeps."""
    lines = [HEADER, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    aligned = [
        "| "
        + " | ".join(
            text.ljust(width) if column < 2 else text.rjust(width)  # noqa: PLR2004 - words left, numbers right
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([aligned[0], rule, *aligned[1:]])
