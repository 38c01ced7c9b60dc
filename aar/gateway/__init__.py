"""The way in for minds outside: tool calls for external researchers, over MCP or from a command line."""
