"""The tiny model, made once for all tests of this folder."""

from tests.tiny_model import llama_folder

__all__ = ["llama_folder"]
