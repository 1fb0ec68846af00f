"""Turn rows of tasks, runs and users into the form in which the API and its texts show them."""
