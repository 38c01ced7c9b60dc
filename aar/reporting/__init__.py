"""What people are shown of a campaign: live, as tables, as a picture, as data for programs."""
