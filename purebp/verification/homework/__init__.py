"""Marks for a whole file of hand-written layers: `purebp verify homework/layers.py`."""
