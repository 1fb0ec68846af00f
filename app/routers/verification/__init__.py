"""Routes of check sets, and of the verification of runs."""
