"""`python -m kira` is the `kira` command."""

from kira.local.command import main

main()
