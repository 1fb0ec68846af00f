"""The ledger of events: its event types, and writing, reading and sweeping it."""
