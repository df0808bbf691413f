"""The dashboard in a real browser, against a real Kira and a model server that answers as told."""
