"""Adapters: the agents that can be started, and how to start each."""
