"""Forms that agents ask people to fill (ACP elicitation): their questions, and the one check of an answer (contract 15.11)."""
