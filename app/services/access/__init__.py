"""Access: authenticate callers, and decide which rows they see and which actions they may take."""
