"""GitHub: accounts that runs act with, pull requests and webhooks."""
