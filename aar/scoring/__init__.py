"""Ground truth, scores and what they are worth."""
