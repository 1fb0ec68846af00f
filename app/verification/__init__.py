"""What checks are, and what their results prove: values and rules that know no database, agent or request."""
