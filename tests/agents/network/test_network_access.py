"""Reach of an agent at each network level: real runs, real sandboxes, servers on the machine's loopback."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.agents.adapters.adapter import ModelService
from app.agents.errors import SandboxUnavailable
from app.agents.network.network_access import NetworkRules, open_network, serve_proxy
from app.agents.network.proxy import Allowance, Service
from app.agents.sandbox.confinement import Sandbox
from app.enums import AgentNetwork, SandboxKind
from tests.agents.conftest import Outcome, Runner, find_sandbox

# Asks for a URL the way programs do that know of proxies, and those that do not.
PROXIED = 'python3 -c "import urllib.request as u; print(u.urlopen({url!r}, timeout=20).read().decode())"'
DIRECT = (
    "python3 -c \"import socket; s = socket.create_connection(('127.0.0.1', {port}), 20); "
    "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.makefile().read())\""
)


@dataclass
class Model:
    """A server on the loopback; it counts who comes."""

    port: int
    visits: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(text: str) -> AsyncIterator[Model]:
    model = Model(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        model.visits += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        model.port = server.sockets[0].getsockname()[1]
        yield model


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with serving("I am the model") as made:
        yield made


@pytest.fixture
async def database() -> AsyncIterator[Model]:
    async with serving("I am the database") as made:
        yield made


@pytest.fixture
async def walled(runner: Runner) -> Runner:
    """A runner with a sandbox that has a network of its own."""
    try:
        sandbox = await find_sandbox(SandboxKind.BUBBLEWRAP)
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    runner.context = replace(runner.context, sandbox=sandbox)
    return runner


def sh(*lines: str) -> str:
    return "```sh\n" + "\n".join(lines) + "\n```"


def said(outcome: Outcome) -> str:
    return str(outcome.updates("tool_call_update"))


def network_messages(outcome: Outcome) -> list[str]:
    entries = [entry["notification"]["params"] for entry in outcome.entries]
    return [params["message"] for params in entries if params.get("step") == "network"]


async def test_model_is_reached_and_nothing_else(walled: Runner, model: Model, database: Model) -> None:
    adapter = walled.context.agent.adapter.model_copy(
        update={"model_service": ModelService(variable="MODEL_URL", default=model.url)}
    )
    outcome = await walled.run(
        sh(
            DIRECT.format(port=model.port),
            "no_proxy= NO_PROXY= " + PROXIED.format(url=model.url),
            f"! {DIRECT.format(port=database.port)}",
            f"! no_proxy= NO_PROXY= {PROXIED.format(url=database.url)}",
            f"! {PROXIED.format(url='http://example.com/')}",
            "! python3 -c \"import socket; socket.create_connection(('192.0.2.1', 80), 5)\"",
            "! python3 -c \"import socket; socket.getaddrinfo('example.com', 80)\"",
        ),
        adapter=adapter,
        network=NetworkRules(level=AgentNetwork.MODEL_ONLY),
    )
    assert outcome.done
    assert said(outcome).count("I am the model") >= 2
    assert (model.visits, database.visits) == (2, 0)
    messages = network_messages(outcome)
    assert messages[0] == "Network: model-only, through a proxy: 127.0.0.1 (the model)"
    assert (
        f"127.0.0.1:{database.port} was refused: it is not among the hosts that this run may reach."
        in messages
    )
    assert "example.com:80 was refused: it is not among the hosts that this run may reach." in messages
    assert messages[-1] == "2 attempts to reach other hosts were refused."


async def test_variable_of_the_worker_says_where_the_model_is(walled: Runner, model: Model) -> None:
    adapter = walled.context.agent.adapter.model_copy(
        update={"model_service": ModelService(variable="MODEL_URL", default="https://api.example.com")}
    )
    outcome = await walled.run(
        sh(DIRECT.format(port=model.port)),
        adapter=adapter,
        network=NetworkRules(level=AgentNetwork.MODEL_ONLY),
        environment={**walled.context.environment, "MODEL_URL": model.url},
    )
    assert outcome.done
    assert model.visits == 1


async def test_trusted_reaches_services_of_the_operator(
    walled: Runner, model: Model, database: Model
) -> None:
    rules = NetworkRules(
        level=AgentNetwork.TRUSTED, domains=["example.com"], services=[Service("127.0.0.1", model.port)]
    )
    outcome = await walled.run(
        sh(DIRECT.format(port=model.port), f"! {DIRECT.format(port=database.port)}"), network=rules
    )
    assert outcome.done
    assert (model.visits, database.visits) == (1, 0)
    assert network_messages(outcome)[0] == "Network: trusted, through a proxy: 2 listed hosts"


async def test_agent_without_model_has_no_network_at_model_only(walled: Runner, database: Model) -> None:
    outcome = await walled.run(
        sh('test -z "$HTTPS_PROXY"', f"! {DIRECT.format(port=database.port)}"),
        network=NetworkRules(level=AgentNetwork.MODEL_ONLY),
    )
    assert outcome.done
    assert network_messages(outcome) == ["Network: none"]
    assert database.visits == 0


async def test_full_is_the_network_of_the_worker(walled: Runner, database: Model) -> None:
    outcome = await walled.run(
        sh(DIRECT.format(port=database.port)), network=NetworkRules(level=AgentNetwork.FULL)
    )
    assert outcome.done
    assert database.visits == 1
    assert network_messages(outcome) == ["Network: full, everything that the worker reaches"]


@pytest.mark.walls
@pytest.mark.parametrize("landlock_abi", [5, 6])
async def test_full_before_linux_6_12_is_not_for_a_worker_that_is_root(
    walled: Runner, tmp_path: Path, landlock_abi: int
) -> None:
    """Servers of the machine on abstract sockets would take the agent for root."""
    messages: list[str] = []

    async def report(message: str) -> None:
        messages.append(message)

    opening = open_network(
        NetworkRules(level=AgentNetwork.FULL),
        model_url=None,
        sandbox=replace(walled.context.sandbox, landlock_abi=landlock_abi),
        folder=tmp_path,
        report=report,
    )
    if landlock_abi == 5 and os.geteuid() == 0:
        with pytest.raises(SandboxUnavailable, match=r"before Linux 6\.12"):
            await opening.__aenter__()
    else:
        async with opening as network:
            assert network.level is AgentNetwork.FULL
        assert messages == ["Network: full, everything that the worker reaches"]


@pytest.mark.parametrize(
    ("landlock_abi", "said"),
    [(3, "Network: none; this sandbox needs Linux 6.7 to keep the agent from TCP"), (4, "Network: none")],
)
async def test_landlock_says_what_it_cannot_keep(tmp_path: Path, landlock_abi: int, said: str) -> None:
    messages: list[str] = []

    async def report(message: str) -> None:
        messages.append(message)

    async with open_network(
        NetworkRules(),
        model_url=None,
        sandbox=Sandbox(kind=SandboxKind.LANDLOCK, landlock_abi=landlock_abi),
        folder=tmp_path,
        report=report,
    ):
        assert messages == [said]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_server_of_the_agents_own_is_reached_without_the_proxy(walled: Runner) -> None:
    outcome = await walled.run(
        sh(
            "python3 -m http.server 8099 --bind 127.0.0.1 >/dev/null 2>&1 &",
            "curl -sf --retry 8 --retry-connrefused http://localhost:8099/",
        ),
        network=NetworkRules(level=AgentNetwork.TRUSTED, domains=["example.com"]),
    )
    assert outcome.done
    assert network_messages(outcome)[1:] == []


@pytest.mark.parametrize("kind", [SandboxKind.LANDLOCK, SandboxKind.NONE])
@pytest.mark.parametrize("accepted", [False, True])
async def test_level_that_cannot_be_enforced_needs_the_operators_consent(
    runner: Runner, model: Model, kind: SandboxKind, accepted: bool
) -> None:
    try:
        sandbox = await find_sandbox(kind)
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    rules = NetworkRules(
        level=AgentNetwork.TRUSTED, services=[Service("127.0.0.1", model.port)], unenforced=accepted
    )
    outcome = await runner.run(
        sh("no_proxy= NO_PROXY= " + PROXIED.format(url=model.url), DIRECT.format(port=model.port)),
        sandbox=sandbox,
        network=rules,
    )
    if accepted:
        assert outcome.done
        assert model.visits == 2
        assert "is not enforced" in network_messages(outcome)[0]
    else:
        assert isinstance(outcome.failed, SandboxUnavailable)
        assert "cannot be enforced on this worker" in outcome.failed.message
        assert model.visits == 0


def traces(folder: Path) -> list[str]:
    return [path.read_text(errors="replace") for path in folder.glob("trace.*")]


class TestVariables:
    """Variables of a sandbox environment are a stranger's: they are the agent's alone."""

    async def test_agent_gets_the_variables_of_its_environment(self, runner: Runner) -> None:
        outcome = await runner.run(
            sh('test "$GREETING" = "hello, world"', 'test "$HOME" = /elsewhere'),
            variables={"GREETING": "hello, world", "HOME": "/elsewhere"},
        )
        assert outcome.done

    @pytest.mark.parametrize("kind", list(SandboxKind)[1:])
    async def test_loader_and_interpreters_outside_do_not_see_them(
        self, runner: Runner, tmp_path: Path, kind: SandboxKind
    ) -> None:
        """Outside the sandbox, each of these would have code of the user's choice run as the service."""
        try:
            sandbox = await find_sandbox(kind)
        except SandboxUnavailable as error:
            pytest.skip(error.message)
        trace = tmp_path / "trace"
        outcome = await runner.run(
            "```say\nhi\n```",
            sandbox=sandbox,
            variables={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(trace), "PYTHONSTARTUP": "/x"},
        )
        assert outcome.done
        traced = traces(tmp_path)
        # Without a sandbox the agent itself leaves a trace there; what makes the sandbox must not.
        assert not any("launcher.py" in text or "bwrap" in text for text in traced)
        if kind is not SandboxKind.NONE:
            assert traced == []

    async def test_no_command_line_holds_them(self, runner: Runner) -> None:
        outcome = await runner.run(
            sh("! cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -q 'swordfish-[0-9]'"),
            variables={"PASSWORD": "swordfish-1"},
        )
        assert outcome.done


async def test_proxy_that_is_cancelled_as_it_starts_stops_listening(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Regression: its socket was still served."""
    folder = tmp_path_factory.mktemp("proxy")

    async def report(_text: str) -> None: ...

    async def serve() -> None:
        async with serve_proxy(Allowance(), SandboxKind.BUBBLEWRAP, folder, report):
            pytest.fail("it has started")

    starting = asyncio.create_task(serve())
    asyncio.get_running_loop().call_soon(starting.cancel)
    await asyncio.wait([starting])
    assert starting.cancelled()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(folder / "egress")


async def test_socket_of_the_proxy_takes_a_path_of_any_length(
    walled: Runner, model: Model, tmp_path: Path
) -> None:
    outcome = await walled.run(
        sh(DIRECT.format(port=model.port)),
        root=tmp_path / ("deep" * 40),
        network=NetworkRules(level=AgentNetwork.TRUSTED, services=[Service("127.0.0.1", model.port)]),
    )
    assert outcome.done
    assert model.visits == 1
