"""Access to files that agents write, which must not lead out of their folder; the least recently used folders."""
