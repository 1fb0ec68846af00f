"""What a URL of Sentinels says of connections; `tests/chaos/test_failover.py` makes them."""

import pytest

from app.clients.redis import PrimaryConnection, PrimarySSLConnection, create_pool


@pytest.mark.parametrize(("scheme", "kind"), [("redis", PrimaryConnection), ("rediss", PrimarySSLConnection)])
def test_url_names_sentinels_passwords_service_and_database(
    scheme: str, kind: type[PrimaryConnection]
) -> None:
    secrets = "sentinel_username=watch&sentinel_password=s%2Fw"
    pool = create_pool(f"{scheme}+sentinel://me:p%23w@one,[::1]:26380/tasks/3?{secrets}")

    assert pool.connection_class is kind
    connection = pool.make_connection()  # type: ignore[no-untyped-call] # redis-py's own is not annotated
    assert isinstance(connection, kind)
    assert (connection.username, connection.password, connection.db) == ("me", "p#w", 3)
    options = pool.connection_kwargs
    assert options["service"] == "tasks"
    sentinels = [each.connection_pool.connection_kwargs for each in options["sentinel"].sentinels]
    assert [(each["host"], each["port"]) for each in sentinels] == [("one", 26379), ("::1", 26380)]
    assert {(each["username"], each["password"]) for each in sentinels} == {("watch", "s/w")}
