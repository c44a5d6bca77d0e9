"""`python -m restore` is the command `restore`."""

from restore.cli import main

main()
