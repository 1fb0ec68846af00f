"""`taskbeacon admin`: accounts, keys, integrations and upkeep. One transaction and one JSON object per command."""

from app.cli.lazy import LazyGroup

__all__ = ["admin"]

_ACCOUNTS = "app.cli.admin.accounts:"
_KEYS = "app.cli.admin.keys:"
_INTEGRATIONS = "app.cli.admin.integrations:"
_INVENTORY = "app.cli.admin.inventory:"

admin = LazyGroup(
    "admin",
    help="Create and change accounts. Each command prints one JSON object.",
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
        "create-user": (f"{_ACCOUNTS}create_user", "Add a user."),
        "add-member": (f"{_ACCOUNTS}add_member", "Make a user a member of a project."),
        "remove-member": (f"{_ACCOUNTS}remove_member", "End a membership."),
        "deactivate-user": (f"{_ACCOUNTS}deactivate_user", "Close an account: its keys stop working."),
        "delete-user": (f"{_ACCOUNTS}delete_user", "Remove an account and its keys."),
        "create-key": (f"{_KEYS}create_key", "Issue a key; its value is shown once."),
        "revoke-key": (f"{_KEYS}revoke_key", "End a key for good."),
        "create-integration": (
            f"{_INTEGRATIONS}create_integration",
            "Give a project access to a code host.",
        ),
        "create-user-integration": (
            f"{_INTEGRATIONS}create_user_integration",
            "Give a user access of their own to a code host.",
        ),
        "create-signal-report": (
            f"{_INTEGRATIONS}create_signal_report",
            "Add a signal report that tasks can be made for.",
        ),
        "rotate-secrets": (
            f"{_INTEGRATIONS}rotate_secrets",
            "Encrypt all stored secrets under the newest key.",
        ),
        "sweep-artifacts": (
            "app.cli.admin.artifacts:sweep_artifacts",
            "Remove files that nobody can reach any more.",
        ),
        "create-vapid-key": ("app.cli.admin.push:create_vapid_key", "Make a key for web push and print it."),
    },
)
