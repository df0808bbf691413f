"""Where the objects of users are kept."""
