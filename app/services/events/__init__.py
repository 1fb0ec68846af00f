"""The ledger of events about tasks and runs: its event types, and how it is written, read and swept."""
