"""`taskbeacon admin`: accounts, keys, integrations and maintenance. Each command prints one JSON object at its end."""

from app.cli.admin import accounts, connections, inventory
from app.cli.admin.transaction import admin

# Each module adds its commands to the group.
__all__ = ["accounts", "admin", "connections", "inventory"]
