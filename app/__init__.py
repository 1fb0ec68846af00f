"""Taskbeacon: tasks done by coding agents, followed live, with a push when one ends or needs you."""
