"""The check of a structured output against the JSON schema of its task, wherever the output comes from."""
