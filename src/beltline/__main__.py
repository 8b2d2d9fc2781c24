"""`python -m beltline`: the command line."""

from beltline.cli.main import main

if __name__ == "__main__":
    main()
