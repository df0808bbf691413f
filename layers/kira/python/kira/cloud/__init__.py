"""How AWS runs Kira: its settings, its world, and what its functions start."""
