"""`taskbeacon admin create-vapid-key`."""

import json

from click.testing import CliRunner
from pydantic import SecretStr

from app.cli.admin import admin
from app.clients.web_push.vapid import VapidKey


def test_key_is_printed_with_its_public_half() -> None:
    result = CliRunner().invoke(admin, ["create-vapid-key"])

    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert list(printed) == ["private_key", "public_key"]
    assert VapidKey(SecretStr(printed["private_key"])).public_key == printed["public_key"]
