"""An older config's text -> the same config in the current form."""

from evalc.config.migrating.migrate import Change, Migrated, migrate

__all__ = ["Change", "Migrated", "migrate"]
