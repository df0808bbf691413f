"""When Kira is woken."""
