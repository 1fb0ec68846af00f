"""Follow a run, a project or an inbox live."""
