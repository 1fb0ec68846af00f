"""What decides a verdict: what checks are and prove, as values and rules that know no database, agent or request."""
