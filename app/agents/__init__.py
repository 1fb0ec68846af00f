"""Runs agents: adapters, execution, git, workspace, sandbox and network."""
