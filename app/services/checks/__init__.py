"""Check sets, and how verifications are shown (contract 18)."""
