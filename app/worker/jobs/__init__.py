"""A job may run twice and out of order: it claims its work, and ends if there is none."""
