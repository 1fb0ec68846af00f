"""The frame of every admin command: a transaction, then one JSON object, or one line on standard error."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec

import click
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import with_sessions
from app.cli.settings import admin_settings
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.errors import AppError
from app.ids import MAX_BIGINT
from app.security.secrets import Cipher

Options = ParamSpec("Options")
Output = dict[str, object]  # JSON and UUIDs

admin = click.Group(
    "admin", help="Manage accounts, keys and integrations. Each command prints one JSON object."
)

# An id beyond PostgreSQL's bigint belongs to no row.
ROW_ID = click.IntRange(1, MAX_BIGINT)


@dataclass(frozen=True, slots=True)
class AdminTransaction:
    """The transaction and the settings of an admin command; `sessions` for what needs many short transactions."""

    session: AsyncSession
    sessions: SessionFactory
    settings: Settings

    @property
    def cipher(self) -> Cipher:
        return Cipher(self.settings.secret_keys)


def transactional(
    operation: Callable[Concatenate[AdminTransaction, Options], Awaitable[Output]],
) -> Callable[Options, None]:
    """Turn `operation` into an admin command that prints its result as JSON when the transaction has committed."""

    @wraps(operation)
    def command(*args: Options.args, **options: Options.kwargs) -> None:
        settings = admin_settings()

        async def work(sessions: SessionFactory) -> Output:
            async with unit_of_work(sessions) as session:
                return await operation(AdminTransaction(session, sessions, settings), *args, **options)

        try:
            output = with_sessions(settings, work)
        except AppError as error:
            raise click.ClickException(f"{error.attr}: {error}" if error.attr else str(error)) from error
        except click.ClickException:
            raise
        except Exception as error:
            # A bug of ours. Its message may quote a statement with its parameters, and some of these are secrets.
            raise click.ClickException(f"unexpected failure: {type(error).__name__}") from error
        click.echo(json.dumps(output, default=str))

    return command
