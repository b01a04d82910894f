"""The commands that deal with runs: what was submitted, and what has become of it."""
