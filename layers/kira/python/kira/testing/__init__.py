"""A world for tests: real servers and adapters that pass the contracts."""
