"""Kira, an AI assistant for many people who share a few model slots."""

__version__ = "0.1.0"
