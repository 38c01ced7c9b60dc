"""Presentations of a campaign: live, in tables, as a picture, and as data for programs."""
