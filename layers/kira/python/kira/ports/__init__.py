"""What Kira asks of the world; one promise a file."""
