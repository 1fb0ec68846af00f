"""One function per endpoint: parse, call one service function, answer. No queries, no rules."""
