"""Read browsers' subscriptions to web pushes.

The endpoint of a subscription is a URL that a user chose, so it is used only if its host is a permitted push service;
otherwise a user could direct a worker to addresses inside its own network.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson


class NotASubscription(Exception):
    """A device's token is not a web push subscription, or its push service is not permitted."""


class PermittedServices:
    """The push services that web pushes may be sent to.

    Args:
        hosts: their host names. A name with a leading dot permits its subdomains.
        allow_http: whether push services without TLS are also permitted, for development.

    """

    def __init__(self, hosts: Sequence[str], *, allow_http: bool) -> None:
        self._hosts = tuple(hosts)
        self._schemes = {"https", "http"} if allow_http else {"https"}

    def read_subscription(self, token: str) -> dict[str, Any]:
        """Return the browser's subscription in a device's token: its `endpoint` and its `keys`, both checked.

        Raises:
            NotASubscription: the token is not a subscription, or its push service is not permitted.

        """
        try:
            subscription = orjson.loads(token)
            endpoint = str(subscription["endpoint"])
            address = urlsplit(endpoint)
            keys = {name: subscription["keys"][name] for name in ("p256dh", "auth")}
        except (ValueError, TypeError, KeyError) as error:
            raise NotASubscription from error
        if not all(isinstance(value, str) and value for value in keys.values()):
            raise NotASubscription
        if address.scheme not in self._schemes or address.username is not None:
            raise NotASubscription
        if not self._permits(address.hostname or ""):
            raise NotASubscription
        return {"endpoint": endpoint, "keys": keys}

    def _permits(self, host: str) -> bool:
        return any(host.endswith(known) if known.startswith(".") else host == known for known in self._hosts)
