"""Builds and installations by npm."""
