"""Check sets, kept results of bases, scans of repositories, and how verifications are shown (contract 18)."""
