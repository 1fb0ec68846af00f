"""HTTP code of the console: its cookie, its sign-in and its files."""
