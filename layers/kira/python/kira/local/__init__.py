"""How one computer runs Kira."""
