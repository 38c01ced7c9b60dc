"""Ground truth, scores, and how far scores can be trusted."""
