"""The inbox of a person: agents' questions from all of their projects, and the ways to answer them."""
