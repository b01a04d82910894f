"""Config files, groups and overrides -> one tree of values, equal to what Hydra composes."""
