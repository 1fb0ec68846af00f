"""Questions of agents: their rows, their risk, what answers them."""
