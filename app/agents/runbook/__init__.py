"""The built-in agent: it executes the steps written in its prompt, and needs no model and no network.

It speaks the Agent Client Protocol and runs in the sandbox like any other agent; the service does not import
it.
"""
