"""`python -m app.cli` is `taskbeacon`."""

from app.cli import main

if __name__ == "__main__":
    main(prog_name="taskbeacon")
