"""`taskbeacon admin`: accounts, keys, integrations and upkeep. One transaction and one JSON object per command."""

import click

from app.cli.admin import accounts, artifacts, integrations, keys, push

__all__ = ["admin"]

admin = click.Group(
    "admin",
    help="Create and change accounts. Each command prints one JSON object.",
    commands=[
        accounts.create_organization,
        accounts.create_project,
        accounts.rename_project,
        accounts.create_user,
        accounts.add_member,
        accounts.remove_member,
        accounts.deactivate_user,
        accounts.delete_user,
        keys.create_key,
        keys.revoke_key,
        integrations.create_integration,
        integrations.create_user_integration,
        integrations.create_signal_report,
        integrations.rotate_secrets,
        artifacts.sweep_artifacts,
        push.create_vapid_key,
    ],
)
