"""One function per endpoint: it parses, calls one service function, and answers. No queries, no rules."""
