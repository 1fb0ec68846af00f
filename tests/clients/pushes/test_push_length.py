"""Messages that are too long for a push service."""

import orjson
import pytest

from app.clients.pushes.push_length import shorten
from tests.support.stand_ins.push import push_message


@pytest.mark.parametrize("character", ["x", "é", "😀", "\n", '"', "\u2028"])
@pytest.mark.parametrize("limit", [200, 1000, 4096])
def test_too_long_message_is_shortened_by_its_body(character: str, limit: int) -> None:
    short = shorten(push_message(body=character * 5000), max_bytes=limit)

    size = len(orjson.dumps(short.content()))
    assert limit - 300 < size <= limit
    assert short.body.endswith("…")
    assert short.title == "Taskbeacon"


def test_message_that_fits_stays_as_it_is() -> None:
    sent = push_message()
    assert shorten(sent, max_bytes=4096) is sent
