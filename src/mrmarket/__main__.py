"""`python -m mrmarket`."""

from mrmarket.cli.app import main

if __name__ == "__main__":
    main()
