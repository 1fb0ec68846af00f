"""`taskbeacon console`: a login link for a browser."""

from uuid import UUID

import click
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import with_sessions
from app.cli.settings import admin_settings
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.devstack.home import Home, read_json
from app.errors import AppError
from app.json_types import JsonDict
from app.services.accounts import api_keys
from app.services.accounts.console_sessions import create_login_code


@click.command()
@click.option("--key", type=click.UUID, help="Id of the key to sign in with.")
@click.option("--mask", help="Mask of the key, instead of its id, for example phx_...a1b2.")
def console(key: UUID | None, mask: str | None) -> None:
    """Print a link that signs one browser in to the console. The link is valid for a minute.

    The browser gets the rights of one API key, given by its id or by its mask. If neither is given, it is the key of
    the development stack on this machine. A mask that no active key has, or several have, is an error.
    """
    if key is not None and mask is not None:
        raise click.UsageError("give either --key or --mask.")
    settings = admin_settings()
    stack = _stack(settings)
    address = settings.public_url or stack.get("base_url")
    if address is None:
        raise click.ClickException("set TASKBEACON_PUBLIC_URL: where people reach the API")
    if key is None and mask is None and not stack:
        raise click.UsageError("name a key by --key or --mask; taskbeacon admin list-keys shows them.")

    async def find_key(session: AsyncSession) -> UUID:
        if key is not None:
            return key
        if mask is not None:
            return await api_keys.find_by_mask(session, mask)
        return await api_keys.find_by_value(session, stack["api_key"])

    async def work(sessions: SessionFactory) -> str:
        async with unit_of_work(sessions) as session:
            return await create_login_code(session, await find_key(session))

    try:
        code = with_sessions(settings, work)
    except AppError as error:
        raise click.ClickException(error.detail) from error
    click.echo(f"{address.rstrip('/')}/console/login#{code}")


def _stack(settings: Settings) -> JsonDict:
    home = Home(settings.home)
    stack = read_json(home.dev_json) if home.is_running() else {}
    # Without the scheme, which may name a driver in one URL and none in the other.
    return stack if _place(stack.get("database_url", "")) == _place(settings.database_url) else {}


def _place(database_url: str) -> str:
    return database_url.partition("://")[2]
