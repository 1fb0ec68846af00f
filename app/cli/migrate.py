"""`taskbeacon migrate`: apply the revisions that the database lacks."""

import click
from alembic.util import CommandError

from app.cli.database import database_failures, with_sessions
from app.cli.settings import development_settings
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.db.schema_revision import database_revision, revisions_between, upgrade_schema


@click.command()
def migrate() -> None:
    """Migrate the database to the schema of this release.

    If the schema is current, do nothing. Concurrent calls wait for each other, for five minutes at most.
    """
    # A migration neither signs nor encrypts, so it needs no production secrets.
    settings = development_settings()
    before = _revision(settings)
    with database_failures(settings):
        try:
            upgrade_schema(settings.database_url)
        except CommandError as error:
            raise click.ClickException(f"cannot migrate: {error}") from error
    after = _revision(settings)
    for revision in revisions_between(before, after):
        click.echo(f"{revision.id}  {revision.purpose}")
    click.echo(
        f"The schema is at {after}." if before != after else f"Nothing to do: the schema is at {after}."
    )


def _revision(settings: Settings) -> str | None:
    async def read(sessions: SessionFactory) -> str | None:
        async with unit_of_work(sessions) as session:
            return await database_revision(session)

    return with_sessions(settings, read)
