"""Runs git in the worker, outside the sandbox, on repositories that no agent can write to.

Git uses our configuration only, no hooks, prompts or programs of a repository; output, time and memory are bounded.
"""

import asyncio
import base64
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from app.agents.errors import RepositoryError, RepositoryUnreachable
from app.agents.git.askpass import NOTHING_LENT, Credential, LentCredential, lend
from app.processes.output import last_lines
from app.processes.spawning import Ended, end_session, exchange, kill, spawn

# Git compares smaller files by line. For a file of empty lines that takes forty times its size in memory.
BIG_FILE = "4m"
# With this user name GitHub accepts any kind of token as the password.
TOKEN_USER = "x-access-token"  # noqa: S105 - a name, not a secret

_OUTPUT_LIMIT = 8 * 2**20
_KIB = 2**10
# The limit of each git process: the objects of a hostile repository could need any amount of memory.
_MEMORY = 2**30
# Sets the limit before git starts, so that it also holds for the children of git.
_LIMITED = 'ulimit -d "$0" && exec git "$@"'
# The variables of the worker that git gets, to reach remotes: proxies, certificates, an ssh agent.
_PASSED = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
)
_SETTINGS = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", os.devnull),
    ("core.excludesFile", os.devnull),
    ("core.quotePath", "false"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("init.defaultBranch", "main"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("advice.detachedHead", "false"),
    ("protocol.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("protocol.git.allow", "always"),
    ("protocol.file.allow", "always"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
    # Larger files count as binary, are not compressed against others, and are processed in pieces.
    ("core.bigFileThreshold", BIG_FILE),
    # Each thread has its own memory, and git would start one for each processor.
    ("pack.threads", "2"),
    ("pack.windowMemory", "64m"),
)
_FIXED = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20",
    "LC_ALL": "C.UTF-8",
    "LANGUAGE": "",
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote git repository: its URL without secrets, and the credential for it, if there is one."""

    url: str
    credential: Credential | None = None

    @classmethod
    def parse(cls, url: str) -> "Remote":
        """Return the remote of a URL; user name and password in an http(s) URL become its credential."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
            return cls(url)
        userinfo, _, host = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        bare = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        return cls(bare, Credential(unquote(user), unquote(password)))

    @property
    def origin(self) -> str:
        """Scheme, host and port of the URL. The credential is sent to no other origin."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_http(self) -> bool:
        """Whether the URL is http or https. Only then can git send a credential."""
        return urlsplit(self.url).scheme in ("http", "https")

    def lend(self) -> AbstractContextManager[LentCredential]:
        """Return a context manager with the variables and file descriptors that give one git process the credential."""
        if self.credential is None or not self.is_http:
            return nullcontext(NOTHING_LENT)
        return lend(self.credential, self.origin)

    def redact(self, text: str) -> str:
        """Replace the credential in `text`, in each encoding that a code host could return."""
        if self.credential is None:
            return text
        user, password = self.credential.user, self.credential.password
        header = base64.b64encode(f"{user}:{password}".encode()).decode()
        for secret in (header, password, quote(password, safe=""), user):
            if secret and secret != TOKEN_USER:
                text = text.replace(secret, "[redacted]")
        return text


def settings_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the environment variables through which git reads `settings`. Each setting is a pair of key and value."""
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings):
        environment[f"GIT_CONFIG_KEY_{index}"] = key
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git commands of the worker in one repository, outside the sandbox. No agent can write to that repository."""

    folder: Path
    environment: Mapping[str, str]  # of the worker; git gets the variables in _PASSED

    async def run(
        self,
        *arguments: str,
        timeout: timedelta,  # noqa: ASYNC109 - a limit of the command, not of the caller's patience
        remote: Remote | None = None,
        limit: int = _OUTPUT_LIMIT,
        text: bytes = b"",
        held: Sequence[int] = (),
        memory: int = _MEMORY,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Ended:
        """Run a git command to its end, whatever its exit status. Raises RepositoryUnreachable after `timeout`.

        Git is killed when its output has more than `limit` bytes. `memory` limits each process. `held` are descriptors
        of locks, which stay locked until git ends, even if this worker is killed.
        """
        environment = {**self._environment(), **variables}
        if shutil.which("git", path=environment.get("PATH")) is None:
            raise RepositoryError("git is not installed on this worker.")
        with remote.lend() if remote else nullcontext(NOTHING_LENT) as lent:
            process = await spawn(
                *("/bin/sh", "-c", _LIMITED, str(memory // _KIB), *arguments),
                cwd=self.folder,
                env={**environment, **lent.variables},
                stdin=asyncio.subprocess.PIPE if text else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                pass_fds=(*lent.descriptors, *held),
            )
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await exchange(process, limit, text, on_overflow=partial(kill, process))
        except TimeoutError:
            place = f" ({remote.url})" if remote else ""
            seconds = int(timeout.total_seconds())
            command = arguments[2 if arguments[0] == "-c" else 0]
            raise RepositoryUnreachable(f"git {command} took over {seconds} s{place}.") from None
        finally:
            await end_session(process)

    async def output(self, *arguments: str, timeout: timedelta) -> str:  # noqa: ASYNC109 - a limit of the command, not of the caller's patience
        return require_success(await self.run(*arguments, timeout=timeout), arguments[0]).text

    def _environment(self) -> dict[str, str]:
        passed = {name: self.environment[name] for name in _PASSED if name in self.environment}
        return {**passed, **_FIXED, **settings_environment(_SETTINGS)}


def require_success(ended: Ended, command: str) -> Ended:
    """Return how a git command ended. Raises RepositoryError if it failed, or its output was too long."""
    if ended.code != 0 or ended.is_truncated:
        raise RepositoryError(f"git {command} failed: {last_lines(ended.errors)}")
    return ended
