"""Backups of the file: made by hand or by schedule, and what is known of the last one."""
