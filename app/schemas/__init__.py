"""The wire format: validated request bodies and typed response bodies. No I/O, no tables."""
