"""What may name a directory of a bundle."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# In characters; paths have ends.
MAX_NAME = 100
