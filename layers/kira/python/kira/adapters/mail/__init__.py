"""How letters are sent."""
