"""`taskbeacon admin`: personal API keys."""

from datetime import UTC, datetime
from uuid import UUID

import click

from app.cli.admin.transaction import ROW_ID, Output, Transaction, transactional
from app.enums import Scope
from app.services.accounts import api_keys


def _read_instant(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise click.BadParameter(f"{value!r} is neither a date nor an instant in ISO 8601.") from error


@click.command("create-key")
@click.option("--user", type=ROW_ID, required=True, help="Id of the user that the key authenticates.")
@click.option(
    "--scope",
    multiple=True,
    required=True,
    help=f"What the key may do; may be repeated. One of: {', '.join(Scope)}.",
)
@click.option("--project", type=ROW_ID, multiple=True, help="Limit the key to this project; may be repeated.")
@click.option(
    "--organization",
    type=click.UUID,
    multiple=True,
    help="Limit the key to this organization; may be repeated.",
)
@click.option("--label", default="", help="Purpose of the key, at most 40 characters.")
@click.option(
    "--expires",
    callback=_read_instant,
    help="Expiry: a date (2027-01-31, from its start in UTC) or a time (2027-01-31T12:00:00Z).",
)
@transactional
async def create_key(
    transaction: Transaction,
    user: int,
    scope: tuple[str, ...],
    project: tuple[int, ...],
    organization: tuple[UUID, ...],
    label: str,
    expires: datetime | None,
) -> Output:
    """Create an API key, for all projects and for ever unless limited, and print it: its value is shown only once."""
    key = await api_keys.create_api_key(
        transaction.session,
        user_id=user,
        scopes=scope,
        label=label,
        limits=api_keys.KeyLimits(project_ids=project, organization_ids=organization, expires_at=expires),
    )
    shown: Output = {"id": key.id, "value": key.value, "mask": key.mask, "scopes": list(key.scopes)}
    return shown if expires is None else {**shown, "expires_at": expires}


@click.command("revoke-key")
@click.option("--key", type=click.UUID, help="Id of the key.")
@click.option("--mask", help="Mask of the key, instead of its id, for example phx_...a1b2.")
@transactional
async def revoke_key(transaction: Transaction, key: UUID | None, mask: str | None) -> Output:
    """Revoke an API key, given either by its id or by its mask. The output has its id.

    An unknown id is an error, and so is a mask that no active key has, or several have: no key is revoked then.
    """
    if (key is None) == (mask is None):
        raise click.UsageError("Give either --key or --mask.")
    if key is None:
        assert mask is not None
        key = await api_keys.find_by_mask(transaction.session, mask)
    await api_keys.revoke_api_key(transaction.session, key)
    return {"id": key}
