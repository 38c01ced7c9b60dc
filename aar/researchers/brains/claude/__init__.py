"""Researchers driven by a language model behind the Messages API, on the `anthropic` package."""
