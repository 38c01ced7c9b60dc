"""aar: Automated Alignment Researchers, a team of autonomous agents that does research on weak-to-strong supervision."""
