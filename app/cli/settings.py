"""Read the settings for a command and send its logs to standard error, or report a bad setting in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.agents.adapters.catalog import Catalog, load_catalog
from app.agents.errors import CatalogInvalid
from app.config import Settings
from app.devstack.home import running_environment
from app.observability import configure_logging

_PREFIX = "TASKBEACON_"


def service_settings() -> Settings:
    """Return the settings from the environment; invalid ones end the command."""
    return _build(Settings)


def check_catalog(settings: Settings) -> Catalog:
    """Return the catalog of agents, read from the file that the settings name."""
    try:
        return load_catalog(settings.agent_catalog)
    except CatalogInvalid as error:
        raise click.ClickException(f"bad {_PREFIX}AGENT_CATALOG: {error.message}") from error


def development_settings(**values: Any) -> Settings:
    return _build(lambda: Settings(development=True, **values))


def admin_settings() -> Settings:
    """Return the settings from the environment, or those of the development stack if they set no database."""
    here = development_settings()
    if "database_url" in here.model_fields_set:
        return service_settings()
    if running_environment(here.home) is not None:
        return stack_settings(here.home)
    try:
        return service_settings()
    except click.ClickException as error:
        if "secret_keys" in here.model_fields_set:
            raise
        # A person without any setting most likely means the development stack, which does not run.
        raise click.ClickException(f"{no_stack(here.home)}, or set {_PREFIX}DATABASE_URL") from error


def stack_settings(home: Path) -> Settings:
    stack = running_environment(home)
    if stack is None:
        raise click.ClickException(no_stack(home))
    values = {name.removeprefix(_PREFIX).lower(): value for name, value in stack.items()}
    known: dict[str, Any] = {name: value for name, value in values.items() if name in Settings.model_fields}
    return _build(lambda: Settings(**known))


def no_stack(home: Path) -> str:
    """Return the message for people that no development stack runs in the folder `home`, and how to start one."""
    return f"no development stack runs in {home.absolute()}: start `make run` in another terminal, or go to where it was started"


def _build(build: Callable[[], Settings]) -> Settings:
    try:
        settings = build()
    except ValidationError as error:
        # The message leaves out the values, because some are secrets.
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        text = "; ".join(_describe(problem["loc"], problem["msg"]) for problem in problems)
        raise click.ClickException(f"bad settings: {text}") from error
    except SettingsError as error:
        raise click.ClickException(f"bad settings: {error}") from error
    # Here, before anything is logged: standard output is for the result of the command, not for logs.
    configure_logging(settings.log_format, settings.log_level)
    return settings


def _describe(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{_PREFIX}{str(location[0]).upper()}: {message}" if location else message
