"""Runs coding agents: starts one in a sandbox on a clone of a repository, and collects its work."""
