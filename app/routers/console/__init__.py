"""The console: browsers sign in and get its pages (contract 17)."""
