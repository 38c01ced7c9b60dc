"""Researchers controlled from outside: by a person at a command line, or by any MCP client."""
