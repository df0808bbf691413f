"""What another layer brings."""
