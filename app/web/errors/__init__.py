"""Map errors to HTTP responses, and a body's validation errors to the one that is reported (contract 2.4)."""
