"""The frame of every admin command: a transaction, then one JSON object, or one line on standard error."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import click
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import with_sessions
from app.cli.settings import admin_settings
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.errors import AppError
from app.ids import MAX_BIGINT
from app.security import Cipher

Options = ParamSpec("Options")
Output = dict[str, Any]  # Any: JSON and UUIDs

# An id beyond PostgreSQL's bigint belongs to no row.
ROW_ID = click.IntRange(1, MAX_BIGINT)


@dataclass(frozen=True, slots=True)
class Transaction:
    """The database session and the settings of an admin command that runs in one transaction."""

    session: AsyncSession
    settings: Settings

    @property
    def cipher(self) -> Cipher:
        """The cipher that encrypts and decrypts the secrets in the database."""
        return Cipher(self.settings.secret_keys)


def transactional(
    operation: Callable[Concatenate[Transaction, Options], Awaitable[Output]],
) -> Callable[Options, None]:
    """Turn `operation` into an admin command."""

    @wraps(operation)
    def command(*args: Options.args, **options: Options.kwargs) -> None:
        settings = admin_settings()

        async def work(sessions: SessionFactory) -> Output:
            async with unit_of_work(sessions) as session:
                return await operation(Transaction(session, settings), *args, **options)

        _print(settings, work)

    return command


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The session factory and the settings of an admin command that opens many short transactions."""

    sessions: SessionFactory
    settings: Settings


def upkeep(operation: Callable[Concatenate[Upkeep, Options], Awaitable[Output]]) -> Callable[Options, None]:
    """Turn `operation` into an admin command that prints its result as JSON."""

    @wraps(operation)
    def command(*args: Options.args, **options: Options.kwargs) -> None:
        settings = admin_settings()

        async def work(sessions: SessionFactory) -> Output:
            return await operation(Upkeep(sessions, settings), *args, **options)

        _print(settings, work)

    return command


def _print(settings: Settings, work: Callable[[SessionFactory], Awaitable[Output]]) -> None:
    try:
        output = with_sessions(settings, work)
    except AppError as error:
        raise click.ClickException(f"{error.attr}: {error}" if error.attr else str(error)) from error
    except click.ClickException:
        raise
    except Exception as error:
        # A defect. Do not print statements and their parameters: some are secrets.
        raise click.ClickException(f"unexpected failure: {type(error).__name__}") from error
    click.echo(json.dumps(output, default=str))
