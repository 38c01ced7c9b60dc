"""Arrays as bytes and back, and log-odds as probabilities."""

import io

import numpy as np


def array_to_bytes(array: np.ndarray) -> bytes:
    """As an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def array_from_bytes(data: bytes) -> np.ndarray:
    """The inverse of `array_to_bytes`."""
    array: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    return array


def class_probabilities(odds: np.ndarray) -> np.ndarray:
    """(n,) log-odds of class 1 -> (n, 2) float32 probabilities of class 0 and 1."""
    one = 1 / (1 + np.exp(-np.clip(odds.astype(np.float64), -30, 30)))
    return np.stack([1 - one, one], axis=1).astype(np.float32)
