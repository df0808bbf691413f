"""Where Kira keeps its tables."""
