"""Which server, project and key to use: arguments, else the environment, else the profile in the configuration."""

import json
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from taskbeacon.client.errors import TaskbeaconError
from taskbeacon.client.shapes import checked

DEFAULT_PROFILE: Final = "default"
CURRENT_PROJECT: Final = "@current"


class InsecureUrl(ValueError):
    """The URL would send a key unencrypted over the network."""


@dataclass(frozen=True)
class Settings:
    """Where requests go, and as whom. `url` has no slash at its end."""

    url: str
    token: str = field(repr=False)
    project: str = CURRENT_PROJECT
    profile: str = DEFAULT_PROFILE
    key_from: str = "argument"
    insecure: bool = False


def config_file() -> Path:
    """Return the path of the configuration, which need not exist."""
    from click import get_app_dir  # noqa: PLC0415 - a program that names server and key does without

    # click obeys XDG_CONFIG_HOME.
    return Path(get_app_dir("taskbeacon")) / "config.toml"


def read_config() -> dict[str, Any]:  # Any: TOML
    """Return the configuration, an empty one if there is none. Raises ValueError if it cannot be read."""
    path, config = config_file(), dict[str, Any](profiles={})
    try:
        with suppress(FileNotFoundError):
            config |= tomllib.loads(path.read_text(encoding="utf-8"))
        checked(config, {"profile": (str, None), "profiles": dict})
        checked(list(config["profiles"].values()), [dict.fromkeys(("url", "key"), (str, None))])
    except TaskbeaconError:
        raise ValueError(f"{path}: `profile` is a name, and each of `profiles` has texts") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return config


def find_settings(
    url: str | None = None,
    token: str | None = None,
    project: str | int | None = None,
    *,
    profile: str | None = None,
    insecure: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings. Raises ValueError for a bad URL or profile, TaskbeaconError without a key."""
    url = url or environment.get("TASKBEACON_URL")
    project = project or environment.get("TASKBEACON_PROJECT")
    key_from = "argument" if token else "environment"
    token = token or environment.get("TASKBEACON_TOKEN")
    named = profile or environment.get("TASKBEACON_PROFILE")
    config = {} if url and token and project and not named else read_config()
    profile = named or config.get("profile", DEFAULT_PROFILE)
    kept = config.get("profiles", {}).get(profile)
    if kept is None and named is not None and not (url and token):
        raise ValueError(f"there is no profile {profile!r} in {config_file()}")
    kept = kept or {}
    kept_url = str(kept.get("url") or "").rstrip("/")
    url = check_url(url or kept_url or _missing("no server is configured", "URL"), insecure=insecure)
    # A stored key and project number are for their own server only.
    if url == kept_url:
        project = project or kept.get("project")
        if not token:
            token, key_from = kept.get("key"), "file"
    token = token or _missing(f"no key for {url}", url)
    return Settings(url, token, str(project or CURRENT_PROJECT), profile, key_from, insecure)


def _missing(what: str, url: str) -> str:
    raise TaskbeaconError(
        f"{what}: sign in by `taskbeacon login --url {url}`, or set TASKBEACON_URL and TASKBEACON_TOKEN",
        code="not_signed_in",
    )


def check_url(url: str, *, insecure: bool = False) -> str:
    """Return the URL of a server without a slash at its end. Raises ValueError unless it is safe to send a key to."""
    url = url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no URL of a server")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL of a server has no user")
    if parts.scheme == "http" and not insecure and not is_loopback(url):
        raise InsecureUrl(f"{url} is not encrypted: use https, or allow it by `insecure`")
    return url


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def change_profile(name: str, **fields: str | None) -> None:
    """Set fields of a profile in the configuration, or remove them by None; the first profile becomes the default."""
    config: dict[str, Any] = {"profile": name, **read_config()}  # Any: TOML
    kept = config["profiles"].get(name, {}) | fields
    config["profiles"][name] = {key: value for key, value in kept.items() if value is not None}
    tables = [(f"[profiles.{_toml(each)}]", table) for each, table in config.pop("profiles").items()]
    lines = list[str]()
    for head, table in [("# `taskbeacon login` and `logout` write this file anew.", config), *tables]:
        lines += [head, *(f"{_toml(key)} = {_toml(value)}" for key, value in table.items()), ""]
    write_private(config_file(), "\n".join(lines))


def write_private(path: Path, text: str) -> None:
    """Write a file atomically, readable by its owner only from the start."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"taskbeacon-{os.urandom(8).hex()}.part")
    try:
        part.touch(mode=0o600, exist_ok=False)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _toml(value: Any) -> str:
    # JSON is TOML, but for its colons and DEL. It has no times: they become texts.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", " = "), default=str)
    return text.replace("\x7f", "\\u007f")
