"""A table of runs as text, Markdown, HTML or JSON."""
