"""What clients follow live, as server-sent events: runs, projects and inboxes. Reads ledger, log and live events."""
