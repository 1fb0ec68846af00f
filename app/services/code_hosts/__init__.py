"""GitHub: credentials of runs, pull requests and webhooks."""
