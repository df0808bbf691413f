"""What happens while nobody waits on HTTP."""
