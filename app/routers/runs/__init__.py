"""Routes of runs, their artifacts, commands, diffs, logs, reviews, streams and verifications."""
