"""The worker process: performs runs and sweeps. Jobs orchestrate; the rules are in `services`."""
