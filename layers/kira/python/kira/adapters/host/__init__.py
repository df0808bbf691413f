"""Adapters of the host: a computer of one's own, and an instance of an Auto Scaling group."""
