"""The commands that deal with results: reported, compared, exported."""
