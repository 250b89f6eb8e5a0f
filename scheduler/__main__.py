"""`python -m scheduler <command>`."""

from scheduler.cli import main

main()
