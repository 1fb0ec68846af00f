"""Types of single settings, and the checks of their values; each raises ValueError with the accepted form.

No message repeats the value, which may contain a password. No server is contacted.
"""

import base64
import re
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

_DRIVER = "postgresql+asyncpg"
_DATABASE_SCHEMES = frozenset({"postgresql", "postgres", _DRIVER})
# Accepts what SQLAlchemy accepts, whose passwords may contain anything but `@`. SQLAlchemy itself is not used, because
# `make run` would have to load it at each start.
_DATABASE_HOST = re.compile(r"(\[[^/?,]+\]|[^/:?@,]+)?(?::([0-9]{1,5}))?", re.ASCII)
_DATABASE_PLACE = re.compile(
    rf"(?P<account>[^:/]*(?::[^@]*)?@)?(?P<hosts>{_DATABASE_HOST.pattern}(?:,{_DATABASE_HOST.pattern})*)"
    r"(?P<path>/[^?]*)?(?:\?(?P<query>.*))?",
    re.ASCII,
)
_DATABASE_PORT = 5432
_HIGHEST_PORT = 65535
_SENTINELS = re.compile(
    r"rediss?\+sentinel://(?:[^@/]*@)?(?P<hosts>[^@/?]+)/[\w.-]+(?:/[0-9]+)?(?:\?.*)?", re.ASCII
)
# Schemes with a path of this machine instead of a host.
_LOCAL = frozenset({"file", "unix"})

_GIT_SCHEMES = ("https", "http", "ssh", "git", "file")
# Old schemes that git still accepts.
_GIT_ALIASES = ("git+ssh", "ssh+git")
# Git's form of ssh without a scheme: `user@host:folder`. Two colons would name a helper program.
_GIT_SSH = re.compile(r"(?:[^@/:\s]+@)?(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?!:|//)[^\r\n\0]*", re.ASCII)

# In an origin: any port.
ANY_PORT = ":*"
# An origin as browsers send it: with the host in lower case, and without a path.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)

_SERVICE = re.compile(r"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?", re.ASCII)

_VAPID_KEY = re.compile(r"[\w-]{43}=?", re.ASCII)
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# Only the forms that the signing library accepts.
_VAPID_SUBJECT = re.compile(
    r"mailto:[^@\s]+@(?:localhost|[\w-]+(?:\.[\w-]+)+)|https://(?:localhost|[\w-]+(?:\.[\w-]+)+)", re.ASCII
)


class LogFormat(StrEnum):
    JSON = "json"
    CONSOLE = "console"


def _check_database_url(value: str) -> str:
    scheme, separator, place = value.partition("://")
    parts = _DATABASE_PLACE.fullmatch(place)
    if not separator or parts is None or not value.isprintable():
        raise ValueError("this is no URL")
    if scheme not in _DATABASE_SCHEMES:
        raise ValueError("only postgresql:// is supported")
    each = [host for text in parts["hosts"].split(",") if (host := _DATABASE_HOST.fullmatch(text))]
    hosts = [(host[1], host[2]) for host in each]
    if not all(0 < int(port or _DATABASE_PORT) <= _HIGHEST_PORT for _, port in hosts):
        raise ValueError("this is no URL")
    if len(hosts) > 1:
        place = _place_of_several(hosts, **parts.groupdict(default=""))
    return f"{_DRIVER}://{place}"


def _place_of_several(
    each: Sequence[tuple[str | None, str | None]], *, account: str, path: str, query: str, **_: str
) -> str:
    # In the form that SQLAlchemy, asyncpg and libpq all accept.
    if not all(name for name, _ in each):
        raise ValueError("this is no URL")
    names = ",".join((name or "").strip("[]") for name, _ in each)
    ports = ",".join(port or str(_DATABASE_PORT) for _, port in each)
    # By default, skip standbys: they refuse writes.
    attributes = "" if "target_session_attrs=" in query else "target_session_attrs=read-write"
    options = "&".join(filter(None, (f"host={names}&port={ports}", query, attributes)))
    return f"{account}{path or '/'}?{options}"


def _check_git_url(value: str) -> str:
    is_folder = value.startswith("/") and value.isprintable()
    ssh = _GIT_SSH.fullmatch(value)
    # `https:/host` is a typo, not a host named `https`.
    is_ssh = ssh is not None and ssh["host"] not in _GIT_SCHEMES
    if not (is_folder or is_ssh or _is_url(value, _GIT_SCHEMES + _GIT_ALIASES)):
        schemes = "https://host, http://host, ssh://host, git://host, file:///path"
        raise ValueError(f"this takes {schemes}, user@host:folder or an absolute path")
    return value


def _check_origin(value: str) -> str:
    # Checked with an arbitrary port in place of `*`.
    origin = f"{value.removesuffix(ANY_PORT)}:1" if value.endswith(ANY_PORT) else value
    if value != "*" and not (_ORIGIN.fullmatch(origin) and _is_url(origin, (origin.partition("://")[0],))):
        raise ValueError(
            "this takes scheme://host[:port] in lower case and without a path (port * for any), or *"
        )
    return value


def _check_network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError(f"'{value}' is no network such as 10.0.0.0/8 or fd00::/8") from None
    return value


def _check_vapid_key(secret: SecretStr | None) -> SecretStr | None:
    if secret is None:
        return None
    text = secret.get_secret_value().strip()
    number = (
        int.from_bytes(base64.urlsafe_b64decode(f"{text:=<44}"), "big") if _VAPID_KEY.fullmatch(text) else 0
    )
    if not 0 < number < _P256_ORDER:
        raise ValueError(
            "this takes 32 bytes in base64url, as `taskbeacon admin create-vapid-key` prints `private_key`"
        )
    return SecretStr(text.rstrip("="))


def _check_vapid_subject(value: str) -> str:
    if not _VAPID_SUBJECT.fullmatch(value):
        raise ValueError("this takes mailto:name@host or https://host")
    return value


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    if value.partition("://")[0] not in schemes or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme in _LOCAL:
        return bool(parts.path)
    return bool(parts.hostname) and " " not in parts.netloc and port != 0


def _check_service(value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise ValueError(f"'{value}' is neither a host nor host:port")
    return value


def _comma_list(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


def _empty_is_unset(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return value if text else None


def _web_url(value: str) -> str:
    if not _is_url(value, ("https", "http")):
        raise ValueError("this takes https://host or http://host")
    return value


def _redis_url(value: str) -> str:
    sentinels = _SENTINELS.fullmatch(value)
    urls = [f"redis://{host}" for host in sentinels["hosts"].split(",")] if sentinels else [value]
    if not all(_is_url(url, ("redis", "rediss", "unix")) for url in urls):
        raise ValueError(
            "this takes redis://host, rediss://host, unix:///path or redis+sentinel://host,host/service"
        )
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)]
SecretList = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_comma_list)]
OptionalText = Annotated[str | None, AfterValidator(_empty_is_unset)]
OptionalSecret = Annotated[SecretStr | None, AfterValidator(_empty_is_unset)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
OptionalWebUrl = Annotated[OptionalText, AfterValidator(lambda value: value and _web_url(value))]
GitUrl = Annotated[str, AfterValidator(_check_git_url)]
Origins = Annotated[CommaList, AfterValidator(lambda value: tuple(map(_check_origin, value)))]
NetworkServices = Annotated[CommaList, AfterValidator(lambda value: tuple(map(_check_service, value)))]
Networks = Annotated[CommaList, AfterValidator(lambda value: tuple(map(_check_network, value)))]
VapidKey = Annotated[OptionalSecret, AfterValidator(_check_vapid_key)]
VapidSubject = Annotated[str, AfterValidator(_check_vapid_subject)]
