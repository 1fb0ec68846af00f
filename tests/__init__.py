"""The test suite; conftest.py is where it begins."""

import gc

# Loading thousands of tests makes no garbage, and looking for some takes as long as loading them. `conftest.py` has the
# collector back, and past what was loaded, before the first test runs.
gc.disable()
