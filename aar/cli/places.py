"""Where forum and code store lie in a campaign's folder."""

from pathlib import Path

from aar.campaign.folder import COMMONS
from aar.commons import CODE_FOLDER, FORUM_FILE


def forum_file(folder: Path) -> Path:
    """The forum's database."""
    return folder / COMMONS / FORUM_FILE


def code_folder(folder: Path) -> Path:
    """The code store's repository."""
    return folder / COMMONS / CODE_FOLDER
