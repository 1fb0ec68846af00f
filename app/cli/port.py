"""The type of options that take a TCP port."""

from typing import Any

import click
from typing_extensions import override


class Port(click.IntRange):
    """A click type for options that take a TCP port, a number from 0 to 65535."""

    def __init__(self) -> None:
        super().__init__(0, 65535)

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            port: int = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{str(value)!r} is no number from {self.min} to {self.max}.", param, ctx)
        return port
