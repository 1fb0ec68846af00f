"""What an agent, the service and people say to each other in a run; values without a database or network."""
