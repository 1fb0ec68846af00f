"""The ledger of events of tasks and runs, in PostgreSQL: event types, writing, reading and sweep."""
