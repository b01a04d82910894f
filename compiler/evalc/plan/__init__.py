"""The intermediate plan: what will run, typed and frozen, before any backend's own form."""

from evalc.plan.model import (
    Argv,
    BundledFile,
    Command,
    EnvVar,
    Export,
    Job,
    Mount,
    Plan,
    Resources,
    Retry,
    Service,
    Shell,
    Step,
)

__all__ = [
    "Argv",
    "BundledFile",
    "Command",
    "EnvVar",
    "Export",
    "Job",
    "Mount",
    "Plan",
    "Resources",
    "Retry",
    "Service",
    "Shell",
    "Step",
]
