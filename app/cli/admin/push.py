"""`taskbeacon admin`: the key pair of web push."""

import json

import click

from app.clients.web_push.vapid import VapidKey


@click.command("create-vapid-key")
def create_vapid_key() -> None:
    """Create a key pair for web push and print it. To use it, set TASKBEACON_VAPID_PRIVATE_KEY to the private key.

    Browsers subscribe with the public key, so a new pair makes all existing subscriptions invalid.
    """
    private_key = VapidKey.generate()
    answer = {"private_key": private_key.get_secret_value(), "public_key": VapidKey(private_key).public_key}
    click.echo(json.dumps(answer))
