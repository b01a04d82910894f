"""Names: what may name a directory of a bundle, and a variable that stands for an address."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# In characters; paths have ends.
MAX_NAME = 100
# Stands in a URL for where an endpoint is, which is known when it has been created, or looked up.
ENDPOINT_URL = "ENDPOINT_URL"
