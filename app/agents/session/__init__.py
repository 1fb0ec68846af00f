"""The conversation of a run with one agent process, over the Agent Client Protocol."""
