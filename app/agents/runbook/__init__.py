"""The built-in agent: the prompt is the program, no model and no network needed.

It is an ACP agent like any other and runs confined like any other; nothing of the service imports it.
"""
