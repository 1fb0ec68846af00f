"""The ledger of events: what there is, how it is written, read and swept."""
