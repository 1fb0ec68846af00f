"""`python -m taskbeacon.cli` is `taskbeacon`."""

from taskbeacon.cli import run

if __name__ == "__main__":
    run()
