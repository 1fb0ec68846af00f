"""The embedded PostgreSQL, Valkey and SeaweedFS."""
