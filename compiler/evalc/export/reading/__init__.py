"""What runs have left in their folders -> :class:`evalc.export.model.RunResult`."""

from evalc.export.reading.runs import NoRun, read_run

__all__ = ["NoRun", "read_run"]
