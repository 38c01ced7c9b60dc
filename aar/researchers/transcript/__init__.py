"""Transcripts: everything a researcher was told, thought, called and got back, kept complete.

`Transcript` writes one, `read` reads it, `conversation` says where its conversation with a model stands, and
`inspect_log` turns it into a log of Inspect.
"""

from aar.researchers.transcript.entries import TranscriptEntry
from aar.researchers.transcript.journal import Transcript, read, transcript_folder, transcript_folders

__all__ = ["Transcript", "TranscriptEntry", "read", "transcript_folder", "transcript_folders"]
