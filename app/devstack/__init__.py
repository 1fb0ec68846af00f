"""The embedded development stack; nothing outside the command line imports it."""
