"""Who keeps the secrets."""
