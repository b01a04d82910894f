"""YAML 1.2 text -> values that know their file, line and column."""

from evalc.source.loader import parse, read_file, scalar_value
from evalc.source.nodes import Mapping, Mark, Node, Path, Scalar, Sequence, Value

__all__ = [
    "Mapping",
    "Mark",
    "Node",
    "Path",
    "Scalar",
    "Sequence",
    "Value",
    "parse",
    "read_file",
    "scalar_value",
]
