"""The gateway for external researchers: their tool calls, over MCP or from a command line."""
