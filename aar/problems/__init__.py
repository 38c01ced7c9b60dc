"""Datasets with their splits: how they are read or generated, and how an example becomes a model's input."""
