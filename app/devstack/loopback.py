"""Plain HTTP to our own processes, never through a proxy; a server that does not respond yet is no error."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping

LOCAL_NAMES = "127.0.0.1,localhost,::1"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def status_of(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, timeout: float
) -> int:
    """Return the status of the response to a request, or 0 if no HTTP response arrives within `timeout` seconds."""
    request = urllib.request.Request(url, headers=dict(headers or {}), method=method)  # noqa: S310 - our own
    try:
        with _OPENER.open(request, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, http.client.HTTPException):
        return 0


def bypass_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `environment` that reaches local addresses directly, without SOCKS: httpx refuses it."""
    excepted = [environment[name] for name in ("no_proxy", "NO_PROXY") if environment.get(name)]
    exceptions = ",".join([*excepted[:1], LOCAL_NAMES])
    usable = {
        name: value
        for name, value in environment.items()
        if not (name.lower().endswith("_proxy") and value.lower().startswith("socks"))
    }
    return {**usable, "no_proxy": exceptions, "NO_PROXY": exceptions}
