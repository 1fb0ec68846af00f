"""Sets up an agent's clone as the clones for checks are, and starts the services of set-up beside the agent."""

from app.agents.checks.caches import open_caches
from app.agents.checks.clone import Clone, SetupFailed, environment_of
from app.agents.checks.commands import SandboxEnded, Start, start_commands, start_service
from app.agents.checks.verify import read_definitions
from app.agents.errors import PathRefused, RepositoryError
from app.agents.execution.active_run import ActiveRun
from app.agents.sandbox.confined_process import ConfinedProcess
from app.verification.definitions import Definitions

_SECONDS = 120
_MOST_FILES = 5000
# Puts tracked files back, and prints the files that set-up has left and the repository does not ignore; whole folders,
# if there are too many.
_LEFT = f"""\
git="git -c core.hooksPath=/dev/null -c core.fsmonitor=false"
$git checkout --quiet --force HEAD -- . 2>/dev/null
list() {{ $git ls-files -z --others --exclude-standard "$@"; }}
if [ "$(list | tr -cd '\\0' | wc -c)" -le {_MOST_FILES} ]; then list; else list --directory; fi
"""


async def set_up(run: ActiveRun) -> Definitions:
    """Set up the agent's clone, and return what is defined for the run. A step that fails is in the run's log."""
    context, workspace = run.context, run.workspace
    defined = context.repository.defined
    base, preparation = await _find_base(run), defined.preparation
    definitions = await read_definitions(workspace.repository, base, defined)
    if preparation is None or not definitions.setup or workspace.base.sha is None:
        return definitions
    clone = Clone(workspace, preparation, definitions.setup, run.masker, run.effects.emit)
    caches = await open_caches(
        workspace,
        preparation,
        definitions.setup,
        workspace.base.sha,
        may_keep=workspace.base.sha == base,
    )
    try:
        await clone.set_up(caches)
    except SetupFailed:
        await run.progress("setup", "The set-up failed; the agent starts without what is missing.")
    finally:
        left = await clone.execute_plainly(("sh", "-c", _LEFT), seconds=_SECONDS)
        await clone.close()
    try:
        workspace.exclude(left.decode(errors="surrogateescape").split("\0")[:-1])
    except (PathRefused, OSError):
        await run.progress("setup", "What the set-up left behind may be part of the work.")
    return definitions


async def _find_base(run: ActiveRun) -> str | None:
    base, repository = run.context.repository.defined.base, run.workspace.repository
    if base is None:
        return run.workspace.base.sha
    try:
        if not await repository.has(base) and (source := await run.source()) is not None:
            await repository.fetch_commit(source.remote, base)
    except RepositoryError as error:
        await run.progress("setup", f"Its base is missing, with the checks file: {error.message}")
        return None
    return base


async def start_agent(run: ActiveRun, start: Start) -> ConfinedProcess:
    """Start the agent by `start`, in one sandbox with the services of set-up; one that fails is left out."""
    services = [step for step in (run.definitions.setup if run.definitions else ()) if step.background]
    preparation = run.context.repository.defined.preparation
    if not services or preparation is None:
        return await start(run.installed.command)
    inside = run.context.sandbox.inside(run.workspace.places)
    commands = await start_commands(start)
    try:
        for step in services:
            directory, variables = str(inside.work / step.cwd), environment_of(preparation, inside)
            await start_service(commands, step, directory, variables, is_watched=False)
        await commands.become(run.installed.command, str(inside.work))
    except SandboxEnded:
        # The conversation reports that the agent has ended.
        pass
    except BaseException:
        await commands.process.stop(0)
        raise
    finally:
        commands.close()
    return commands.process
