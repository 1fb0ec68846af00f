"""Forms that agents ask people to fill (ACP elicitation): questions, checks of answers (contract 15.11)."""
