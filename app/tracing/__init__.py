"""Sends spans of the service's work to a collector of OpenTelemetry."""
