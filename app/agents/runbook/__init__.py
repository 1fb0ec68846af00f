"""The built-in agent: the prompt is the program; it needs no model and no network.

It speaks the Agent Client Protocol and runs in the sandbox like any other agent; the service does not import it.
"""
