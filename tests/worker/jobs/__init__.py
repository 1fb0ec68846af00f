"""Tests of a job have its name, but for three with more to set up.

`report_verdicts` is tested in tests/worker/verification/test_verdict_reports.py, `verify_run` in the modules beside it,
and `start_scheduled` in tests/concurrency/runs/test_scheduled.py.
"""
