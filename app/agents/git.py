"""Runs git in the worker, outside the sandbox, on repositories that no agent can write to.

No configuration but ours, no hooks, no prompts, no program named by a repository; bounded output, bounded time.
Credentials of a URL travel in the environment of the one command that needs them: never in its arguments, never
in a configuration file, never in a message.
"""

import asyncio
import base64
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from app.agents.errors import RepositoryError, RepositoryUnreachable
from app.agents.streams import last_lines, read_bounded

__all__ = ["Git", "Remote", "Result", "settings_environment"]

_OUTPUT_LIMIT = 8 * 2**20
_COMPLAINT_LIMIT = 16 * 2**10
# How a worker reaches its remotes: proxies, certificates, an ssh agent. Nothing else is passed on.
_PASSED = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
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
class Result:
    """How a git command ended."""

    code: int
    output: bytes
    complaint: str
    truncated: bool = False

    def text(self) -> str:
        """Return the output as text, without the last line's end."""
        return self.output.decode(errors="replace").strip()


@dataclass(frozen=True, slots=True)
class Remote:
    """A clone URL taken apart: what may be shown, and what may not."""

    url: str
    secret: tuple[str, str] | None = None  # user, password

    @classmethod
    def parse(cls, url: str) -> "Remote":
        """Split the credentials off an http(s) URL; any other URL has none that we could use."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
            return cls(url)
        userinfo, _, host = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        bare = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        return cls(bare, (unquote(user), unquote(password)))

    def settings(self) -> tuple[tuple[str, str], ...]:
        """Return the git settings that authenticate at this remote, and at no other."""
        if self.secret is None:
            return ()
        token = base64.b64encode(":".join(self.secret).encode()).decode()
        return ((f"http.{self.url}.extraHeader", f"Authorization: Basic {token}"),)

    def redact(self, text: str) -> str:
        """Return a text without this remote's credentials."""
        for secret in self.secret or ():
            if secret:
                text = text.replace(secret, "[redacted]")
        return text


def settings_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return settings as the environment variables that git reads them from."""
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings):
        environment[f"GIT_CONFIG_KEY_{index}"] = key
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment


@dataclass(frozen=True, slots=True)
class Git:
    """Git for one repository folder."""

    folder: Path
    environment: Mapping[str, str]  # the worker's, to take proxies and the like from

    async def run(
        self,
        *arguments: str,
        timeout: timedelta,  # noqa: ASYNC109 - a limit of the command, not of the caller's patience
        remote: Remote | None = None,
        limit: int = _OUTPUT_LIMIT,
    ) -> Result:
        """Run git and return how it ended; output beyond `limit` ends it and marks the result as truncated.

        Raises RepositoryUnreachable when time is up, RepositoryError when there is no git.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *arguments,
                cwd=self.folder,
                env=self._environment(remote),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise RepositoryError("git is not installed on this worker.") from None
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                result = await _collect(process, limit)
        except TimeoutError:
            place = f" ({remote.url})" if remote else ""
            seconds = int(timeout.total_seconds())
            raise RepositoryUnreachable(f"git {arguments[0]} took over {seconds} s{place}.") from None
        finally:
            await _end(process)
        return result

    async def output(self, *arguments: str, timeout: timedelta) -> str:  # noqa: ASYNC109 - as in run
        """Run a local git command that must succeed and return its output. Raises RepositoryError."""
        result = await self.run(*arguments, timeout=timeout)
        if result.code != 0:
            raise RepositoryError(f"git {arguments[0]} failed: {last_lines(result.complaint)}")
        return result.text()

    def _environment(self, remote: Remote | None) -> dict[str, str]:
        passed = {name: self.environment[name] for name in _PASSED if name in self.environment}
        settings = (*_SETTINGS, *(remote.settings() if remote else ()))
        return {**passed, **_FIXED, **settings_environment(settings)}


async def _collect(process: asyncio.subprocess.Process, limit: int) -> Result:
    def stop() -> None:
        with suppress(ProcessLookupError):
            process.kill()

    (output, truncated), (complaint, _) = await asyncio.gather(
        read_bounded(process.stdout, limit, stop), read_bounded(process.stderr, _COMPLAINT_LIMIT)
    )
    code = await process.wait()
    return Result(code, output, complaint.decode(errors="replace"), truncated=truncated)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure that git and its helpers are gone and their pipes closed."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        await read_bounded(stream, 0)
    await process.wait()
