"""A person's inbox: the questions of agents over all of their projects, and the ways to answer them."""
