"""Artifacts: the files of tasks and runs, their upload, download and removal; diffs of runs, and their reviews."""
