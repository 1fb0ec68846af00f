"""Secrets of webhook endpoints, and the signatures of messages by each that is valid (contract 14)."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from app.ids import new_id
from app.security.secrets import Cipher
from app.services.webhook_endpoints.signing import Message, live_secrets, new_secret, sign

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_replaced_secret_signs_until_its_time_and_not_at_it() -> None:
    cipher = Cipher([SecretStr("k" * 32)])
    old = {
        (NOW + timedelta(seconds=seconds)).isoformat(): cipher.encrypt(f"old {seconds}")
        for seconds in (-1, 0, 1, 60)
    }
    assert live_secrets(cipher.encrypt("current"), old, cipher, now=NOW) == ["current", "old 60", "old 1"]


@pytest.mark.parametrize("traceparent", [None, "00-" + "a" * 32 + "-" + "b" * 16 + "-01"])
def test_receiver_with_either_secret_accepts_the_message(traceparent: str | None) -> None:
    secrets = (new_secret(), new_secret())
    signed = sign(Message(new_id(), "https://example.com", '{"a": 1}', secrets), traceparent=traceparent)
    for secret in secrets:
        assert Webhook(secret).verify(signed.body, dict(signed.headers)) == {"a": 1}
    assert signed.headers.get("traceparent") == traceparent
    assert not any(secret in repr(signed) for secret in secrets)
