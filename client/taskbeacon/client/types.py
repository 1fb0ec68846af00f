"""The JSON of the API, for type checkers. Generated: `make client-types` writes it (checks/client_types.py)."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AnswerIn(TypedDict):
    digest: NotRequired[str | None]
    option_id: NotRequired[str | None]
    action: NotRequired[Literal["accept", "decline", "cancel"] | None]
    content: NotRequired[dict[str, Any] | None]
    text: NotRequired[str | None]
    custom_input: NotRequired[str | None]


AnswerVia: TypeAlias = Literal["api", "console", "cli", "action_token", "mcp", "a2a", "rule"]


class Artifact(TypedDict):
    id: str
    name: str
    type: str
    source: str
    size: int
    content_type: str
    storage_path: str
    uploaded_at: str


BaseExpectation: TypeAlias = Literal["failed"]


BaseStatus: TypeAlias = Literal["passed", "failed", "error", "not_run"]


BaseUse: TypeAlias = Literal["auto", "always"]


Case = TypedDict(
    "Case",
    {
        "suite": str,
        "class": str,
        "name": str,
    },
)


class ChangeTotals(TypedDict):
    files: int
    additions: int
    deletions: int


class CheckCounts(TypedDict):
    passed: int
    failed: int
    skipped: int
    new: int
    fixed: int
    removed: int


CheckGate: TypeAlias = Literal["strict", "regression", "informational"]


class CheckIn(TypedDict):
    id: str
    run: NotRequired[list[str] | None]
    shell: NotRequired[str | None]
    cwd: NotRequired[str]
    paths: NotRequired[list[str]]
    timeout_seconds: NotRequired[int]
    gate: NotRequired[Literal["strict", "regression", "informational"]]
    reports: NotRequired[list[str]]
    retries: NotRequired[int]
    expect_base: NotRequired[Literal["failed"] | None]


class CheckRun(TypedDict):
    exit_code: int | None
    duration_ms: int
    log_artifact_id: str | None


CheckSource: TypeAlias = Literal["project", "repository", "file", "task", "run"]


ChecksNetwork: TypeAlias = Literal["none", "run"]


CiState: TypeAlias = Literal["success", "failure", "pending"]


ClaimKind: TypeAlias = Literal[
    "tests_pass", "build_passes", "lint_clean", "bug_fixed", "file_written", "other"
]


CommandStatus: TypeAlias = Literal["accepted", "delivered", "consumed", "dropped"]


DeliveryStatus: TypeAlias = Literal["pending", "delivered", "failed", "cancelled"]


DiffMissing: TypeAlias = Literal[
    "not_started", "over", "elsewhere", "no_answer", "too_large", "no_branch", "failed", "no_text"
]


DisabledReason: TypeAlias = Literal[
    "gone", "no_success", "blocked_address", "creator_deactivated", "creator_left", "user"
]


Environment: TypeAlias = Literal["local", "cloud"]


class Event(TypedDict):
    id: str
    seq: int
    type: str
    timestamp: str
    data: dict[str, Any]


class FileDiff(TypedDict):
    path: str
    old_path: str | None
    status: Literal["A", "M", "D", "R"]
    additions: int
    deletions: int
    binary: bool
    old_size: int | None
    new_size: int | None
    patch: NotRequired[str]
    truncated: bool


class McpServerIn(TypedDict):
    type: Literal["http", "sse"]
    name: str
    url: str
    headers: NotRequired[dict[str, str]]


OnUnverified: TypeAlias = Literal["complete", "fail"]


OriginProduct: TypeAlias = Literal[
    "onboarding",
    "error_tracking",
    "eval_clusters",
    "user_created",
    "automation",
    "slack",
    "support_queue",
    "session_summaries",
    "posthog_ai",
    "experiments",
    "signal_report",
    "signals_scout",
    "support_reply",
    "hogdesk",
    "image_builder",
]


PayloadKind: TypeAlias = Literal["thin", "full"]


class Pinged(TypedDict):
    delivery_id: str


QuestionAction: TypeAlias = Literal["answer", "snooze", "mute"]


QuestionKind: TypeAlias = Literal["permission", "form", "url", "message", "verdict"]


class QuestionOption(TypedDict):
    id: str
    name: str
    kind: str


QuestionRisk: TypeAlias = Literal["low", "normal", "high"]


QuestionStatus: TypeAlias = Literal["open", "answered", "expired", "withdrawn"]


class QuestionTask(TypedDict):
    id: str
    title: str
    slug: str
    repository: str | None


class Reason(TypedDict):
    code: str
    check: str | None
    detail: str


class RunArtifact(TypedDict):
    id: str
    name: str
    type: str
    source: str
    size: int
    content_type: str
    storage_path: str
    uploaded_at: str
    url: str | None
    uploaded_by: Literal["agent", "user"]
    uploaded_by_user_id: int | None
    dismissed_at: str | None
    metadata: dict[str, Any] | None


RunStatus: TypeAlias = Literal["not_started", "queued", "in_progress", "completed", "failed", "cancelled"]


class SetupStep(TypedDict):
    index: int
    command: str
    status: Literal["ok", "failed", "cached"]
    duration_ms: int
    tail: NotRequired[str]


class Step(TypedDict):
    run: list[str] | None
    shell: str | None
    cwd: str
    background: bool
    ready: list[str] | None
    timeout_seconds: int
    cache: list[str]
    cache_key: list[str]


class StepIn(TypedDict):
    run: NotRequired[list[str] | None]
    shell: NotRequired[str | None]
    cwd: NotRequired[str]
    background: NotRequired[bool]
    ready: NotRequired[list[str] | None]
    timeout_seconds: NotRequired[int]
    cache: NotRequired[list[str]]
    cache_key: NotRequired[list[str]]


class TaskFilterIn(TypedDict):
    created_by: NotRequired[int | Literal["me"]]
    repository: NotRequired[str | None]
    origin_product: NotRequired[
        Literal[
            "onboarding",
            "error_tracking",
            "eval_clusters",
            "user_created",
            "automation",
            "slack",
            "support_queue",
            "session_summaries",
            "posthog_ai",
            "experiments",
            "signal_report",
            "signals_scout",
            "support_reply",
            "hogdesk",
            "image_builder",
        ]
        | None
    ]


Urgency: TypeAlias = Literal["low", "normal", "high"]


class UserBasic(TypedDict):
    id: int
    uuid: str
    distinct_id: str
    first_name: str
    last_name: str
    email: str
    is_email_verified: bool | None
    hedgehog_config: dict[str, Any] | None
    role_at_organization: str | None


Verdict: TypeAlias = Literal["verified", "claimed", "refuted", "inconclusive"]


class Waiver(TypedDict):
    reason: str
    user: UserBasic | None
    at: str


class Answered(TypedDict):
    answer: dict[str, Any] | None
    answered_by: UserBasic | None
    answered_via: AnswerVia | None
    answered_at: str | None
    status: Literal["answered"]
    delivery: CommandStatus | None
    run_id: NotRequired[str]
    repeated: NotRequired[bool]


class Check(TypedDict):
    id: str
    run: list[str] | None
    shell: str | None
    cwd: str
    paths: list[str]
    timeout_seconds: int
    gate: CheckGate
    reports: list[str]
    retries: int
    expect_base: BaseExpectation | None


class CheckResult(TypedDict):
    id: str
    command: NotRequired[str]
    source: CheckSource
    gate: CheckGate
    status: str
    cause: str | None
    exit_code: int | None
    duration_ms: int | None
    base: BaseStatus
    base_cached: bool
    counts: CheckCounts | None
    old_tests: Literal["passed", "failed", "not_run"]
    old_tests_log_artifact_id: NotRequired[str | None]
    new_failures: list[Case]
    removed_cases: list[Case]
    blocked_hosts: list[str]
    runs: list[CheckRun]
    log_artifact_id: str | None
    tail: NotRequired[str]


class Ci(TypedDict):
    state: CiState
    head_sha: str
    total: int
    failed: list[str]
    url: str | None


class Claim(TypedDict):
    statement: str
    kind: ClaimKind
    check: str | None
    command: list[str] | None
    path: str | None
    judgement: Verdict


class Definitions(TypedDict):
    setup: list[Step]
    checks: list[Check]
    protected_paths: list[str] | None
    test_paths: list[str] | None
    checks_network: ChecksNetwork
    max_repairs: int | None
    on_unverified: OnUnverified
    base: BaseUse


class DefinitionsIn(TypedDict):
    setup: NotRequired[list[StepIn]]
    checks: NotRequired[list[CheckIn]]
    protected_paths: NotRequired[list[str] | None]
    test_paths: NotRequired[list[str] | None]
    checks_network: NotRequired[Literal["none", "run"]]
    max_repairs: NotRequired[int | None]
    on_unverified: NotRequired[Literal["complete", "fail"]]
    base: NotRequired[Literal["auto", "always"]]


class Delivery(TypedDict):
    id: str
    event_id: str
    event_type: str
    task_id: str | None
    run_id: str | None
    status: DeliveryStatus
    created_at: str
    next_attempt_at: str | None
    delivered_at: str | None
    attempts: int


class Diff(TypedDict):
    tree: str | None
    at: str | None
    totals: ChangeTotals | None
    left_out: list[str]
    missing: DiffMissing | None
    behind: int | None
    base: str | None
    head: str | None
    files: list[FileDiff]
    source: Literal["stored", "live"]
    next: str | None


class Endpoint(TypedDict):
    id: str
    url: str
    event_types: list[str]
    description: str
    payload: PayloadKind
    task_filter: dict[str, Any] | None
    enabled: bool
    disabled_reason: DisabledReason | None
    created_at: str
    created_by: UserBasic | None
    last_success_at: str | None
    last_failure_at: str | None
    consecutive_failures: int
    secret_hint: str


class EndpointIn(TypedDict):
    description: NotRequired[str]
    payload: NotRequired[Literal["thin", "full"]]
    task_filter: NotRequired[TaskFilterIn | None]
    enabled: NotRequired[bool]
    url: str
    event_types: list[str]


class EndpointUpdateIn(TypedDict):
    description: NotRequired[str]
    payload: NotRequired[Literal["thin", "full"]]
    task_filter: NotRequired[TaskFilterIn | None]
    enabled: NotRequired[bool]
    url: NotRequired[str]
    event_types: NotRequired[list[str]]


class FoundCheck(TypedDict):
    check: Check
    origin: dict[str, str | None]


class NewEndpoint(TypedDict):
    id: str
    url: str
    event_types: list[str]
    description: str
    payload: PayloadKind
    task_filter: dict[str, Any] | None
    enabled: bool
    disabled_reason: DisabledReason | None
    created_at: str
    created_by: UserBasic | None
    last_success_at: str | None
    last_failure_at: str | None
    consecutive_failures: int
    secret_hint: str
    secret: str


class QuestionRun(TypedDict):
    id: str
    status: RunStatus


class RunIn(TypedDict):
    mode: NotRequired[Literal["interactive", "background"]]
    branch: NotRequired[str | None]
    resume_from_run_id: NotRequired[str]
    pending_user_message: NotRequired[str]
    pending_user_artifact_ids: NotRequired[list[str]]
    sandbox_environment_id: NotRequired[str]
    pr_authorship_mode: NotRequired[Literal["user", "bot"]]
    run_source: NotRequired[Literal["manual", "signal_report"]]
    signal_report_id: NotRequired[str]
    runtime_adapter: NotRequired[str]
    model: NotRequired[str]
    reasoning_effort: NotRequired[Literal["low", "medium", "high", "xhigh", "max"]]
    github_user_token: NotRequired[str]
    initial_permission_mode: NotRequired[
        Literal["default", "acceptEdits", "plan", "bypassPermissions", "auto", "read-only", "full-access"]
    ]
    token_budget: NotRequired[int]
    imported_mcp_servers: NotRequired[list[McpServerIn]]
    acceptance: NotRequired[DefinitionsIn | None]


class TaskCreateIn(TypedDict):
    title: NotRequired[str]
    title_manually_set: NotRequired[bool]
    description: NotRequired[str]
    origin_product: NotRequired[
        Literal[
            "onboarding",
            "error_tracking",
            "eval_clusters",
            "user_created",
            "automation",
            "slack",
            "support_queue",
            "session_summaries",
            "posthog_ai",
            "experiments",
            "signal_report",
            "signals_scout",
            "support_reply",
            "hogdesk",
            "image_builder",
        ]
    ]
    repository: NotRequired[str | None]
    github_integration: NotRequired[int | None]
    github_user_integration: NotRequired[str | None]
    signal_report: NotRequired[str | None]
    signal_report_task_relationship: NotRequired[Literal["implementation"] | None]
    json_schema: NotRequired[Any]
    internal: NotRequired[bool]
    archived: NotRequired[bool]
    ci_prompt: NotRequired[str | None]
    branch: NotRequired[str | None]
    runtime_adapter: NotRequired[str | None]
    model: NotRequired[str | None]
    reasoning_effort: NotRequired[Literal["low", "medium", "high", "xhigh", "max"] | None]
    pending_user_message: NotRequired[str | None]
    pending_user_artifact_ids: NotRequired[list[str] | None]
    auto_publish: NotRequired[bool | None]
    sandbox_environment_id: NotRequired[str | None]
    custom_image_id: NotRequired[str | None]
    imported_mcp_servers: NotRequired[list[McpServerIn] | None]
    start_run: NotRequired[bool]
    scheduled_at: NotRequired[str | None]
    acceptance: NotRequired[DefinitionsIn | None]


class TaskIn(TypedDict):
    title: NotRequired[str]
    title_manually_set: NotRequired[bool]
    description: NotRequired[str]
    origin_product: NotRequired[
        Literal[
            "onboarding",
            "error_tracking",
            "eval_clusters",
            "user_created",
            "automation",
            "slack",
            "support_queue",
            "session_summaries",
            "posthog_ai",
            "experiments",
            "signal_report",
            "signals_scout",
            "support_reply",
            "hogdesk",
            "image_builder",
        ]
    ]
    repository: NotRequired[str | None]
    github_integration: NotRequired[int | None]
    github_user_integration: NotRequired[str | None]
    signal_report: NotRequired[str | None]
    signal_report_task_relationship: NotRequired[Literal["implementation"] | None]
    json_schema: NotRequired[Any]
    internal: NotRequired[bool]
    archived: NotRequired[bool]
    ci_prompt: NotRequired[str | None]
    acceptance: NotRequired[DefinitionsIn | None]


class Verification(TypedDict):
    verdict: Verdict | None
    reasons: list[Reason]
    finished_at: str | None
    setup: list[SetupStep]
    checks: list[CheckResult]
    found: list[FoundCheck]
    claims: list[Claim]
    changed_tests: list[str]
    protected_changed: list[str]
    attempt: int
    attempts: int
    commit: str | None
    base: str | None
    started_at: str | None
    stopped: str | None
    waived: bool
    waivers: list[Waiver]
    ci: Ci | None


class Question(TypedDict):
    answer: dict[str, Any] | None
    answered_by: UserBasic | None
    answered_via: AnswerVia | None
    answered_at: str | None
    id: str
    kind: QuestionKind
    status: QuestionStatus
    urgency: Urgency
    risk: QuestionRisk
    digest: str
    title: str
    detail: str
    options: list[QuestionOption]
    schema: dict[str, Any] | None
    link: str | None
    link_host: str | None
    task: QuestionTask
    run: QuestionRun
    project_id: int
    opened_at: str
    expires_at: str | None
    snoozed_until: str | None
    allowed_actions: list[QuestionAction]
    url: str


class Run(TypedDict):
    id: str
    task: str
    stage: str | None
    branch: str | None
    status: RunStatus
    environment: Environment
    runtime_adapter: str | None
    provider: str | None
    model: str | None
    reasoning_effort: str | None
    log_url: str | None
    error_message: str | None
    output: Any
    state: dict[str, Any]
    artifacts: list[RunArtifact]
    created_at: str
    updated_at: str
    completed_at: str | None
    scheduled_at: str | None
    verification: Verification | None


class Task(TypedDict):
    id: str
    task_number: int | None
    slug: str
    title: str
    title_manually_set: bool
    description: str
    origin_product: OriginProduct
    repository: str | None
    github_integration: int | None
    github_user_integration: str | None
    signal_report: str | None
    json_schema: Any
    internal: bool
    archived: bool
    archived_at: str | None
    latest_run: Run | None
    created_at: str
    updated_at: str
    last_activity_at: str
    created_by: UserBasic | None
    ci_prompt: str | None
    acceptance: Definitions | None


class TaskWithRun(TypedDict):
    id: str
    task_number: int | None
    slug: str
    title: str
    title_manually_set: bool
    description: str
    origin_product: OriginProduct
    repository: str | None
    github_integration: int | None
    github_user_integration: str | None
    signal_report: str | None
    json_schema: Any
    internal: bool
    archived: bool
    archived_at: str | None
    latest_run: Run | None
    created_at: str
    updated_at: str
    last_activity_at: str
    created_by: UserBasic | None
    ci_prompt: str | None
    acceptance: Definitions | None
    run: NotRequired[Run | None]
    run_error: NotRequired[str | None]
