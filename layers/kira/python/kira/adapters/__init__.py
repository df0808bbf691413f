"""The technologies; one folder per port, one file per technology."""
