"""Tests of a job have its name, but for two with more to set up.

`verify_run` is tested in tests/worker/verification, and `start_scheduled` in tests/concurrency/runs/test_scheduled.py.
"""
