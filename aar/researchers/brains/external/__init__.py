"""Researchers whose mind is somewhere else: a person at a command line, or any MCP client."""
