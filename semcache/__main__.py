"""`python -m semcache`: the command line."""

from semcache.cli import main

if __name__ == "__main__":
    main()
