"""What users can do; ports arrive through the constructor."""
