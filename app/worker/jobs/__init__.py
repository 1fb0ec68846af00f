"""One file per job. Each may run twice and out of order: it claims, and stops quietly if there is nothing to do."""
