"""Accounts: users, organizations, projects, API keys, console sessions and integrations."""
