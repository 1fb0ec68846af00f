"""`taskbeacon admin`: personal API keys."""

from uuid import UUID

import click

from app.cli.admin.transaction import ROW_ID, Answer, Transaction, transactional
from app.enums import Scope
from app.services import api_keys

__all__ = ["create_key", "revoke_key"]


@click.command("create-key")
@click.option("--user", type=ROW_ID, required=True, help="Id of the user whom the key stands for.")
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
@click.option("--label", default="", help="What the key is for, 40 characters at most.")
@transactional
async def create_key(
    transaction: Transaction,
    user: int,
    scope: tuple[str, ...],
    project: tuple[int, ...],
    organization: tuple[UUID, ...],
    label: str,
) -> Answer:
    """Issue a key. Its value is shown here and never again."""
    key = await api_keys.create_api_key(
        transaction.session,
        user_id=user,
        scopes=scope,
        label=label,
        project_ids=project,
        organization_ids=organization,
    )
    return {"id": key.id, "value": key.value, "mask": key.mask, "scopes": list(key.scopes)}


@click.command("revoke-key")
@click.option("--key", type=click.UUID, required=True, help="Id of the key.")
@transactional
async def revoke_key(transaction: Transaction, key: UUID) -> Answer:
    """End a key for good."""
    await api_keys.revoke_api_key(transaction.session, key)
    return {"id": key}
