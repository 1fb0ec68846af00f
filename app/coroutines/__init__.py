"""Ways to run a coroutine: again and again, or to its end although its caller is cancelled."""
