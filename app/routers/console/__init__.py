"""Routes of the console: browsers sign in, and get its page and files (contract 17)."""
