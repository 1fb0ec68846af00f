"""Questions of agents: their rows, their risk and their answers."""
