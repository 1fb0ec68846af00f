"""Live streams (server-sent events) of runs, projects and inboxes."""
