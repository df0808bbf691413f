"""Shelves: where backups lie."""
