"""Push messages to any service: their outcomes, their length, and the circuit to a service that fails."""
