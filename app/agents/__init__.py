"""Who performs a run: agents, the place they work in, and the walls around it."""
