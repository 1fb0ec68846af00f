"""The set-up of clones, what is kept of it, and the execution of checks."""
