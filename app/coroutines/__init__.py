"""Repeat a coroutine, or run it to its end although its caller is cancelled."""
