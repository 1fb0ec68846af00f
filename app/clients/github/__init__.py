"""GitHub's REST API: pull requests, check runs, commit statuses, and tokens of a GitHub App."""
