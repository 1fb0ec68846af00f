"""Check the options of a request for a run, and make the run's initial state from them; pure rules (contract 9)."""

from collections.abc import Mapping
from typing import Any

from app.agents.adapters.catalog import Catalog
from app.enums import PrAuthorshipMode, RunSource
from app.errors import InvalidInput
from app.json_types import JsonDict
from app.models.runs.run_facts import ACCEPTANCE, AUTHORSHIP, SANDBOX_ENVIRONMENT
from app.schemas.checks.check_sets import acceptance_of
from app.schemas.runs.run import LONGEST_BRANCH, MAX_TOKEN_BUDGET, RunIn
from app.schemas.tasks import ModelOut, TaskCreateIn

_NEEDED = "This field is required when selecting a cloud runtime."

# The fields that choose the agent of a run. All are taken from the hints of a task, or none.
_RUNTIME = ("runtime_adapter", "model", "reasoning_effort")
# Keys that a run inherits from the run that it resumes, if the request omits them (contract 9.2). The sandbox
# environment is inherited only if the caller may still use it (run_authority.py).
_INHERITED = (
    AUTHORSHIP,
    "run_source",
    "signal_report_id",
    *_RUNTIME,
    "pr_base_branch",
    "snapshot_external_id",
    SANDBOX_ENVIRONMENT,
)

# The fields of a request for a task that are options for its first run.
_HINTS = ("branch", *_RUNTIME, "pending_user_message", "sandbox_environment_id", "imported_mcp_servers")


def require_consistent(body: RunIn, catalog: Catalog) -> None:
    adapter = catalog.choice(body.runtime_adapter)
    if body.runtime_adapter is not None and adapter is None:
        raise InvalidInput(
            f'"{body.runtime_adapter}" is not a valid choice.', code="invalid_choice", attr="runtime_adapter"
        )
    if body.runtime_adapter or body.model or body.reasoning_effort:
        if body.runtime_adapter is None:
            raise InvalidInput(_NEEDED, attr="runtime_adapter")
        if body.model is None:
            raise InvalidInput(_NEEDED, attr="model")
    mode = body.initial_permission_mode
    if mode is None:
        return
    if adapter is None:
        raise InvalidInput("This field requires runtime_adapter to be set.", attr="initial_permission_mode")
    if mode not in adapter.permission_modes:
        values = ", ".join(f"'{value}'" for value in adapter.permission_modes) or "none"
        raise InvalidInput(
            f"Invalid choice '{mode}' for runtime_adapter '{adapter.name}'. Supported values: {values}.",
            attr="initial_permission_mode",
        )


def hints_of(body: TaskCreateIn) -> JsonDict:
    """Return the options for the first run in a request for a task, by their names in a request for a run."""
    return {name: value for name in _HINTS if (value := getattr(body, name))}


def with_hints(body: RunIn, hints: RunIn) -> RunIn:
    """Return the options of a task's first run: the fields of its request, and the task's hints for those not given."""
    names = set(hints.model_fields_set)
    if any(getattr(body, name) is not None for name in _RUNTIME):
        names -= {*_RUNTIME}
    silent = {name for name in names if not body.given(name) or getattr(body, name) is None}
    return body.model_copy(update={name: getattr(hints, name) for name in silent})


def list_models(catalog: Catalog) -> list[ModelOut]:
    """Return the models that clients offer to people, of all agents that runs may request."""
    return [
        {
            "runtime_adapter": adapter.name,
            "model": model.name,
            "display_name": model.display_name,
            "supported_efforts": list(adapter.supported_efforts(model.name)),
        }
        for adapter in (catalog.adapters[name] for name in catalog.choices)
        for model in adapter.models
    ]


def inherited_state(previous: Mapping[str, object]) -> JsonDict:
    inherited: JsonDict = {
        key: previous[key] for key in _INHERITED if isinstance(previous.get(key), str) and previous[key]
    }
    # Clients write the state too, so it may hold values that no request allows.
    if len(inherited.get("pr_base_branch", "")) > LONGEST_BRANCH:
        del inherited["pr_base_branch"]
    if isinstance(acceptance := previous.get(ACCEPTANCE), dict):
        inherited[ACCEPTANCE] = acceptance
    budget = token_budget(previous)
    return inherited if budget is None else inherited | {"token_budget": budget}


def token_budget(state: Mapping[str, object]) -> int | None:
    """Return the token budget in the state of a run; None if it is absent or malformed."""
    value = state.get("token_budget")
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value <= MAX_TOKEN_BUDGET else None


def requested_state(body: RunIn) -> JsonDict:
    values: dict[str, object] = {
        "pr_base_branch": body.branch,
        "pending_user_message": body.pending_user_message,
        "initial_permission_mode": body.initial_permission_mode,
        "resume_from_run_id": str(body.resume_from_run_id) if body.resume_from_run_id else None,
        SANDBOX_ENVIRONMENT: str(body.sandbox_environment_id) if body.sandbox_environment_id else None,
        AUTHORSHIP: body.pr_authorship_mode,
        "run_source": body.run_source,
        "signal_report_id": body.signal_report_id,
        "runtime_adapter": body.runtime_adapter,
        "model": body.model,
        "reasoning_effort": body.reasoning_effort,
        "token_budget": body.token_budget,
        ACCEPTANCE: acceptance_of(body.acceptance),
    }
    if body.run_source is RunSource.SIGNAL_REPORT:
        values[AUTHORSHIP] = PrAuthorshipMode.BOT
    return {"mode": body.mode} | {key: value for key, value in values.items() if value is not None}


def with_provider(state: JsonDict, catalog: Catalog) -> JsonDict:
    """Return a run's state with the `provider` of its agent's models, such as `openai`."""
    adapter = catalog.choice(state.get("runtime_adapter"))
    return state | {"provider": adapter.provider} if adapter and adapter.provider else state


def require_effort(state: Mapping[str, Any], catalog: Catalog) -> None:
    effort, model = state.get("reasoning_effort"), state.get("model")
    adapter = catalog.choice(state.get("runtime_adapter"))
    if effort is None or adapter is None or model is None:
        return
    known = adapter.supported_efforts(model)
    if effort not in known:
        raise InvalidInput(
            f"Reasoning effort '{effort}' is not supported for runtime_adapter '{adapter.name}' and model '{model}'. "
            f"Supported values: {', '.join(known) or 'none'}.",
            attr="reasoning_effort",
        )
