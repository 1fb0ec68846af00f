"""Where checks come from: check sets, and scans of repositories for checks (contract 18)."""
