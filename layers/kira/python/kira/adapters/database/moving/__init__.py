"""Moving everything from one database to another: in batches that can be resumed, verified before it counts."""
