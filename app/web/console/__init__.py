"""The console: its cookie, and its files."""
