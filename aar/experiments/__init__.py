"""Experiments: a method's runs in sandboxes, the broker that answers its lab calls, and their way to a score."""
