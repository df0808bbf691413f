"""Where workers tell one another that they are there."""
