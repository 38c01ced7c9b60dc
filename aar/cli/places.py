"""Where forum and code store lie in a campaign's folder."""

from pathlib import Path


def forum_file(folder: Path) -> Path:
    """The forum's database."""
    return folder / "commons" / "forum.sqlite"


def code_folder(folder: Path) -> Path:
    """The code store's repository."""
    return folder / "commons" / "code.git"
