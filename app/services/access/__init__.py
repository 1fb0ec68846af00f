"""Who asks, what of a project they see, and what they may do."""
