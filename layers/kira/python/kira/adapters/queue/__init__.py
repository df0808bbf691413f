"""Which run is next."""
