"""Tiny real models for training programs."""

from tests.tiny_model import llama, llama_folder

__all__ = ["llama", "llama_folder"]
