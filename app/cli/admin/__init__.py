"""`taskbeacon admin`: accounts, keys, integrations and maintenance. Each command prints one JSON object."""

from app.cli.lazy import LazyGroup

_ACCOUNTS = "app.cli.admin.accounts:"
_KEYS = "app.cli.admin.keys:"
_INTEGRATIONS = "app.cli.admin.integrations:"
_INVENTORY = "app.cli.admin.inventory:"

admin = LazyGroup(
    "admin",
    help="Manage accounts, keys and integrations. Each command prints one JSON object.",
    commands={
        "list-organizations": (f"{_INVENTORY}list_organizations", "List organizations."),
        "list-projects": (f"{_INVENTORY}list_projects", "List projects."),
        "list-users": (f"{_INVENTORY}list_users", "List users."),
        "list-keys": (f"{_INVENTORY}list_keys", "List keys, with last use and expiry."),
        "list-integrations": (f"{_INVENTORY}list_integrations", "List integrations."),
        "show-project": (f"{_INVENTORY}show_project", "Show a project and its members."),
        "show-user": (f"{_INVENTORY}show_user", "Show a user and their projects."),
        "show-key": (f"{_INVENTORY}show_key", "Show a key, without its value."),
        "show-integration": (f"{_INVENTORY}show_integration", "Show an integration, without its secrets."),
        "create-organization": (f"{_ACCOUNTS}create_organization", "Add an organization."),
        "create-project": (f"{_ACCOUNTS}create_project", "Add a project."),
        "rename-project": (f"{_ACCOUNTS}rename_project", "Rename a project and the slugs of its tasks."),
        "limit-push-text": (f"{_ACCOUNTS}limit_push_text", "Limit what pushes about a project's tasks say."),
        "let-agents-notify": (f"{_ACCOUNTS}let_agents_notify", "Decide whether agents may notify people."),
        "create-user": (f"{_ACCOUNTS}create_user", "Add a user."),
        "add-member": (f"{_ACCOUNTS}add_member", "Add a user to a project."),
        "remove-member": (f"{_ACCOUNTS}remove_member", "Remove a user from a project."),
        "deactivate-user": (f"{_ACCOUNTS}deactivate_user", "Deactivate an account: its keys stop working."),
        "delete-user": (f"{_ACCOUNTS}delete_user", "Delete an account and its keys."),
        "create-key": (f"{_KEYS}create_key", "Create a key; its value is shown once."),
        "revoke-key": (f"{_KEYS}revoke_key", "Revoke a key."),
        "create-integration": (f"{_INTEGRATIONS}create_integration", "Connect a project to a code host."),
        "create-user-integration": (
            f"{_INTEGRATIONS}create_user_integration",
            "Link a user's own account at a code host.",
        ),
        "create-signal-report": (
            f"{_INTEGRATIONS}create_signal_report",
            "Add a signal report that tasks can refer to.",
        ),
        "rotate-secrets": (
            f"{_INTEGRATIONS}rotate_secrets",
            "Encrypt all stored secrets with the newest key.",
        ),
        "sweep-artifacts": (
            "app.cli.admin.artifacts:sweep_artifacts",
            "Delete files that no request can reach.",
        ),
        "webhooks": (
            "app.cli.admin.webhooks:webhooks",
            "List, test and repeat webhooks (list, ping, redeliver).",
        ),
        "events": ("app.cli.admin.webhooks:events", "Maintain the ledger of events (prune)."),
        "create-vapid-key": (
            "app.cli.admin.push:create_vapid_key",
            "Create a key pair for web push and print it.",
        ),
    },
)
