"""aar: Automated Alignment Researchers, autonomous agents that do research on weak-to-strong supervision."""
