"""Artifacts <-> a directory of plain files."""

from evalc.bundle.model import Bundle, File
from evalc.bundle.write import BundleExists, Outcome, write

__all__ = ["Bundle", "BundleExists", "File", "Outcome", "write"]
