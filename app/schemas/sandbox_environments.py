"""Bodies that create and change sandbox environments, and the published form of these."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from typing_extensions import TypedDict, override

from app.enums import NetworkAccessLevel
from app.schemas.base import Input, ListPage, doc
from app.schemas.fields import (
    Boolean,
    Choice,
    Items,
    JsonObject,
    JsonSchema,
    Text,
    check_repository,
    fail,
    require_at_most,
)
from app.schemas.users import UserBasic

_MAX_DOMAINS = 200
_MAX_REPOSITORIES = 100
_MAX_VARIABLES = 100
_MAX_NAME = 128
# In bytes. The kernel accepts up to 128 KiB in one variable, and all variables of a process must fit its stack.
_MAX_VALUE = 32 * 1024
_MAX_VALUES = 256 * 1024

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# In upper case: variables that change how programs are loaded or interpreted, and those that the service sets.
_REFUSED_PREFIXES = ("LD_", "DYLD_", "TASKBEACON_", "BASH_FUNC_")
_REFUSED = frozenset(
    {
        "NODE_OPTIONS",
        "BASH_ENV",
        "ENV",
        "PYTHONSTARTUP",
        "PYTHONHOME",
        "PERL5OPT",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
        "JDK_JAVA_OPTIONS",
    }
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label starts with a letter, so that an IP address in any notation is not accepted as a name.
_DOMAIN = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)


def _check_domain(text: str) -> str:
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        domain = wildcard + name.lower().removesuffix(".").encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if not _DOMAIN.fullmatch(domain):
        raise fail(
            "invalid_input", "Enter a host name such as api.example.com, or *.example.com for those below it."
        )
    return domain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variables(JsonObject):
    """A field that takes environment variables: an object of strings by name."""

    @override
    def parse(self, value: object) -> dict[str, str]:
        variables: dict[str, str] = JsonObject.parse(self, value)
        require_at_most(_MAX_VARIABLES, len(variables), "elements")
        size = 0
        for name, text in variables.items():
            if not _VARIABLE.fullmatch(name) or len(name) > _MAX_NAME:
                raise fail(
                    "invalid_input",
                    f"Invalid environment variable key: {name[:_MAX_NAME]!r}. Must match [A-Za-z_][A-Za-z0-9_]* "
                    f"and have no more than {_MAX_NAME} characters.",
                )
            if name.upper().startswith(_REFUSED_PREFIXES) or name.upper() in _REFUSED:
                raise fail("invalid_input", f"The environment variable {name} is reserved.")
            if not isinstance(text, str):
                raise fail("invalid_input", f"The value of {name} is not a string.")
            length = len(text.encode(errors="surrogatepass"))
            if length > _MAX_VALUE:
                raise fail("max_length", f"The value of {name} has more than {_MAX_VALUE} bytes.")
            size += length
        if size > _MAX_VALUES:
            raise fail("max_length", f"All values together have more than {_MAX_VALUES} bytes.")
        return variables

    @override
    def json_schema(self) -> JsonSchema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{_VARIABLE.pattern}$", "maxLength": _MAX_NAME},
            "additionalProperties": {"type": "string", "maxLength": _MAX_VALUE},
            "maxProperties": _MAX_VARIABLES,
            "writeOnly": True,
        }


_NAME = Text(max_length=255)
_NAMED = doc("Name of the environment, for people.", "Web app")


class _Fields(Input):
    """The writable fields of a sandbox environment, all optional."""

    network_access_level: Annotated[
        NetworkAccessLevel,
        Choice(of=NetworkAccessLevel),
        doc(
            "The hosts that agents can reach. `none`: no host; `model-only`: the host of their model; "
            "`trusted`: package registries, code hosts and `allowed_domains`; `custom`: `allowed_domains`; `full`: "
            "all hosts. The operator may allow less. A new environment has `trusted`."
        ),
    ] = NetworkAccessLevel.TRUSTED
    allowed_domains: Annotated[
        list[Annotated[str, Text(max_length=255, check=_check_domain)]],
        Items(max_length=_MAX_DOMAINS),
        doc("Host names; `*.example.com` matches all names below example.com, but not itself."),
    ] = []
    include_default_domains: Annotated[
        bool, Boolean(), doc("Whether `custom` has the default domains of `trusted` too.")
    ] = False
    repositories: Annotated[
        list[Annotated[str, Text(max_length=255, check=check_repository)]],
        Items(max_length=_MAX_REPOSITORIES),
        doc("Repositories that the environment is meant for, as a hint for clients; not enforced."),
    ] = []
    environment_variables: Annotated[
        dict[str, str],
        _Variables(),
        doc(
            "Environment variables of the agent, by name. Stored encrypted and never shown; in an update "
            "they replace all existing variables."
        ),
    ] = {}
    for_checks: Annotated[
        list[Annotated[str, Text(max_length=_MAX_NAME)]],
        Items(max_length=_MAX_VARIABLES),
        doc("Names of the variables that set-up and checks get too; without effect for others."),
    ] = []
    private: Annotated[
        bool,
        Boolean(),
        doc(
            "Whether only the creator can use the environment (the default of a new one), or the whole project."
        ),
    ] = True


class SandboxEnvironmentIn(_Fields):
    """A request for a new sandbox environment: the hosts and environment variables that agents of its runs get."""

    examples: ClassVar = {
        "Additional hosts and a secret, shared with the project": {
            "name": "Web app",
            "network_access_level": "custom",
            "allowed_domains": ["registry.npmjs.org", "*.example.com"],
            "repositories": ["taskbeacon/taskbeacon"],
            "environment_variables": {"STAGING_TOKEN": "s3cret"},
            "private": False,
        },
        "Package registries and code hosts, private": {"name": "Mine"},
        "No network access": {"name": "Offline", "network_access_level": "none", "private": False},
    }

    name: Annotated[str, _NAME, _NAMED]


class SandboxEnvironmentUpdateIn(_Fields):
    """A request to change a sandbox environment; absent fields keep their values."""

    examples: ClassVar = {
        "Share with the project": {"private": False},
        "Replace the variables": {"environment_variables": {"STAGING_TOKEN": "s3cret"}},
    }

    name: Annotated[str | None, _NAME, _NAMED] = None


class SandboxEnvironmentOut(TypedDict):
    """A sandbox environment in a response, without the values of its variables."""

    id: UUID
    name: Annotated[str, doc("Name of the environment, for people.", "Web app")]
    network_access_level: Annotated[NetworkAccessLevel, doc("The hosts that agents can reach.", "custom")]
    allowed_domains: Annotated[
        list[str],
        doc(
            "Additional host names; `*.example.com` matches all names below example.com.",
            ["registry.npmjs.org"],
        ),
    ]
    include_default_domains: Annotated[bool, doc("Whether `custom` has the default domains too.", False)]
    repositories: Annotated[
        list[str],
        doc("Repositories that the environment is meant for; not enforced.", ["taskbeacon/taskbeacon"]),
    ]
    has_environment_variables: Annotated[bool, doc("Whether the environment has any variable.")]
    environment_variable_keys: Annotated[list[str], doc("Names of the variables, sorted.", ["STAGING_TOKEN"])]
    for_checks: Annotated[list[str], doc("Names of the variables that set-up and checks get too.")]
    private: Annotated[bool, doc("Whether only the creator can use the environment.", False)]
    internal: Annotated[bool, doc("Always false: the service creates no environments itself.", False)]
    effective_domains: Annotated[
        list[str],
        doc(
            "All host names that agents can reach besides their model's; empty for `full`, which allows all hosts.",
            ["registry.npmjs.org"],
        ),
    ]
    created_by: Annotated[UserBasic | None, doc("The creator; null if the account was deleted.")]
    created_at: datetime
    updated_at: datetime


class SandboxEnvironmentPage(ListPage):
    """A page of sandbox environments."""

    results: list[SandboxEnvironmentOut]
