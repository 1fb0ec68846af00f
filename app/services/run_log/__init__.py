"""The log and the live stream of a run."""
