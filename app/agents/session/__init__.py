"""One live agent over the Agent Client Protocol."""
