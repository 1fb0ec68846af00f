"""Alembic environment and schema revisions; `taskbeacon migrate` applies them."""
