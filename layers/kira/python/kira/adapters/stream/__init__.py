"""How what a run says reaches its readers."""
