"""What is decided about pushes, from which facts, and what settles them beside a claim."""
