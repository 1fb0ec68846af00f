"""Tells a collector of OpenTelemetry what the service does, and for how long."""
