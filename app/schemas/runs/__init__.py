"""Bodies of runs, their agents, artifacts, commands, diffs, logs, MCP servers, reviews, streams and verifications."""
