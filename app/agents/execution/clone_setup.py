"""Sets up the agent's clone as for checks, and starts the services of set-up beside the agent."""

from app.agents.check_execution.clone import LONGEST_NAME, environment_of, open_clone, why_failed
from app.agents.check_execution.commit_verification import read_definitions
from app.agents.check_execution.sandboxed_commands import SandboxEnded, Start, request_for, start_commands
from app.agents.errors import AgentOverLimit, PathRefused, RepositoryError
from app.agents.execution.active_run import ActiveRun
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.sandbox.confinement import confined_environment
from app.tracing.spans import traced
from app.verdicts.definitions import Definitions, Step, command_of, unite

_SECONDS = 120
_MOST_FILES = 5000
# Restores the tracked files, and prints the untracked files that the repository does not ignore. If these are too
# many, it prints a folder in place of its files.
_LEFT = f"""\
git="git -c core.hooksPath=/dev/null -c core.fsmonitor=false"
$git checkout --quiet --force HEAD -- . 2>/dev/null
list() {{ $git ls-files -z --others --exclude-standard "$@"; }}
if [ "$(list | tr -cd '\\0' | wc -c)" -le {_MOST_FILES} ]; then list; else list --directory; fi
"""


@traced("run.set_up")
async def set_up(run: ActiveRun) -> Definitions:
    """Set up the agent's clone, and return what is defined for the run. A step that fails is in the run's log."""
    workspace, preparation = run.workspace, run.context.repository.preparation
    if preparation is None:
        return unite(())
    base, start = await _find_base(run, preparation.base), workspace.base.sha
    definitions = await read_definitions(workspace.repository, base, preparation)
    if preparation.setup_network.note and (definitions.setup or definitions.checks):
        await run.progress("setup", preparation.setup_network.note)
    if not definitions.setup or start is None:
        return definitions
    async with open_clone(workspace, preparation, run.masker, run.effects.emit) as clone:
        if await clone.set_up(definitions.setup, start, may_keep=start == base):
            await run.progress("setup", "The set-up failed; the agent starts without what is missing.")
    try:
        async with workspace.monitor.enforce(preparation.sandbox.policy):
            left = await workspace.execute(
                preparation.sandbox, ("sh", "-c", _LEFT), confined_environment({}), seconds=_SECONDS
            )
        is_listed = left.code == 0 and not left.is_truncated
        if is_listed:
            workspace.exclude(left.output.decode(errors="surrogateescape").split("\0")[:-1])
    except (AgentOverLimit, PathRefused, OSError):  # TimeoutError is an OSError
        is_listed = False
    if not is_listed:
        await run.progress("setup", "What the set-up left behind may be part of the work.")
    return definitions


async def _find_base(run: ActiveRun, base: str | None) -> str | None:
    repository = run.workspace.repository
    if base is None:
        return run.workspace.base.sha
    try:
        if (source := await run.source()) is not None:
            await repository.fetch_commit(source.remote, base)
    except RepositoryError as error:
        await run.progress("setup", f"Its base is missing, with the checks file: {error.message}")
        return None
    return base


def services_of(run: ActiveRun) -> list[Step]:
    return [step for step in (run.definitions.setup if run.definitions else ()) if step.background]


async def start_agent(run: ActiveRun, start: Start) -> ConfinedProcess:
    """Start the agent by `start`, in one sandbox with the services of set-up; the log names those that fail."""
    services, preparation = services_of(run), run.context.repository.preparation
    if not services or preparation is None:
        return await start(run.installed.command)
    inside = run.context.sandbox.inside(run.workspace.places)
    commands = await start_commands(start)
    try:
        for step in services:
            request = request_for(step, inside, environment_of(preparation, inside))
            ended = await commands.execute({**request, "silent": True})
            if failure := why_failed(step, ended):
                name = command_of(step)[:LONGEST_NAME]
                await run.progress("setup", f"The agent works without {name}: {failure}")
    except SandboxEnded:
        # The conversation reports that the agent has ended.
        pass
    except BaseException:
        await commands.stop()
        raise
    return commands.become(run.installed.command, str(inside.work))
