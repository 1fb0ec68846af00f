"""One function per route: it parses, calls a service, and answers. No queries, no rules."""
