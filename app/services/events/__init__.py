"""The ledger: what happened to tasks and runs, in PostgreSQL. Its event types, its writing, reading and sweep."""
