"""What evaluation tasks there are: task -> harness -> image and endpoint types."""

from evalc.catalog.catalog import AmbiguousTask, Catalog, Harness, Task, UnknownTask, load

__all__ = ["AmbiguousTask", "Catalog", "Harness", "Task", "UnknownTask", "load"]
