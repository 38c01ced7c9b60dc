"""Transcripts: the complete record of what a researcher received, thought, called and got back.

`Transcript` writes one and `read` reads it. `conversation` derives the state of the conversation with the model, and
`inspect_log` converts transcripts to a log of Inspect.
"""

from aar.researchers.transcript.journal import Transcript, TranscriptEntry, read, transcript_folder, transcript_folders

__all__ = ["Transcript", "TranscriptEntry", "read", "transcript_folder", "transcript_folders"]
