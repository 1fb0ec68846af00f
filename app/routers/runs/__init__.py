"""Routes of runs, their artifacts, commands, logs and streams."""
