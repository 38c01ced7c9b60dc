"""Transcripts: everything a researcher received, thought, called and got back, complete.

`Transcript` writes one, `read` reads it, `conversation` derives the state of the conversation with the model, and
`inspect_log` converts it to a log of Inspect.
"""

from aar.researchers.transcript.journal import Transcript, TranscriptEntry, read, transcript_folder, transcript_folders

__all__ = ["Transcript", "TranscriptEntry", "read", "transcript_folder", "transcript_folders"]
