"""The second process: performs runs and sweeps up. Jobs orchestrate; the rules are in `services`."""
