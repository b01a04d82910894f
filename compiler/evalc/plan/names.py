"""Names: what may name a directory of a bundle, and a variable that stands for an address."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# In characters; paths have ends.
MAX_NAME = 100
# Stands in a URL for where an endpoint is, which is known when it has been created, or looked up.
ENDPOINT_URL = "ENDPOINT_URL"
# What a bundle holds at its top, beside the tasks.
RESERVED_IDS = frozenset(
    (
        "lib",
        "logs",
        "services",
        "endpoint.components.json",
        "endpoint.json",
        "endpoint.sh",
        "endpoint.spec.json",
        "lepton.json",
        "export.sh",
        "export_install.sh",
        "manifest.json",
        "plan.json",
        "config.yaml",
        "readme.md",
        "run_all.sh",
        "run_all.sequential.sh",
        "sbatch_all.sh",
        "sbatch_array.sh",
        "sbatch_export.sh",
        "setup.sh",
        "submit_all.sh",
    )
)
