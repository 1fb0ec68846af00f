"""The agents that can be started, and how."""
