"""The tiny models, loaded once for all tests of this folder."""

from tests.tiny_model import bert_folder, llama, llama_folder, qwen_folder

__all__ = ["bert_folder", "llama", "llama_folder", "qwen_folder"]
