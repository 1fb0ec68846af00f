"""The keys of a run's `state` that name its GitHub account and sandbox environment.

Only the service writes them.
"""

from typing import Final

# Whether the run acts as its person or as the service: a `PrAuthorshipMode`.
AUTHORSHIP: Final = "pr_authorship_mode"
SANDBOX_ENVIRONMENT: Final = "sandbox_environment_id"
# The source of the credentials of the code host, with its values: the token from the run's request, or the linked
# account of its person.
CREDENTIAL_SOURCE: Final = "github_credential_source"
CALLER_TOKEN: Final = "caller_token"  # noqa: S105 - no token, the name of a kind
LINKED_ACCOUNT: Final = "server_integration"
