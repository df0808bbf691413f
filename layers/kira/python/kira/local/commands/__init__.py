"""What each subcommand of `kira` does; one file a command."""
