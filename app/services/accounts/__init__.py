"""Users, projects, keys and integrations, for operators."""
