"""The measured marks, printed as ratios against the same load straight at the model server."""
