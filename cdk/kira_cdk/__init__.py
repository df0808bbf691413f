"""Kira on AWS as code: one file per thing that can be pointed at in the console."""
