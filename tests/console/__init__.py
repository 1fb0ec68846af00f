"""The built console in a real browser, and the wheel that has it; programs, which `make test-console` calls."""
