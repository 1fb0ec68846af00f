"""Code hosts such as GitHub: the credentials of runs, pushed branches, pull requests and webhooks."""
