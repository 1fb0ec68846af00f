"""Users, projects, keys and integrations, as an operator manages them."""
