"""What decides in a researcher."""

from typing import Protocol


class Brain(Protocol):
    """Decides what to do. A new one must be able to go on where a killed one stopped, from what is on disk alone."""

    def run(self) -> None:
        """Work until the researcher ends. Raises AarError when the platform failed; it may be called again."""
