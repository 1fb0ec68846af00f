"""Code hosts such as GitHub: credentials of runs, pushed branches, pull requests, reports of verdicts, and webhooks."""
