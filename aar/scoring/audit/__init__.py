"""Signs of cheating in what a campaign left: ledger, answers, forum, snapshots, transcripts. Pure functions of those.

A finding is a reason to look, with its evidence; it is no verdict, and what is not found may still be there.
"""
