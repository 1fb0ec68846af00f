"""One file per job, or per table of jobs that differ in their rows only.

A job may run twice and out of order: it claims its work, and ends if there is none.
"""
