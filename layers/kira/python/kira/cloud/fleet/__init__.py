"""Makes an EC2 instance of the fleet ready: weights, Ollama, settings, slots, and whether it stays well."""
