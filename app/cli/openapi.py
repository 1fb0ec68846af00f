"""`taskbeacon openapi`: print the description of the API without serving it."""

import click
import orjson

from app.cli.settings import development_settings
from app.main import create_app


@click.command()
def openapi() -> None:
    """Print the description of the API as JSON (OpenAPI 3.1)."""
    # Nothing is served, so no production secrets are needed. Bytes, because JSON is UTF-8 in every locale.
    description = create_app(development_settings()).openapi()
    click.echo(orjson.dumps(description, option=orjson.OPT_INDENT_2))
