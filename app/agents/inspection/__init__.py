"""Finds out which agents answer and which walls hold on this machine."""
