"""The end of an endpoint: its log is kept, it is removed, and that is noted."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs import journal
from evalc.backends.lepton.runs.platform import Absent
from evalc.backends.lepton.runs.reading import so_far
from evalc.backends.lepton.runs.settling import settle
from evalc.backends.running import Unreachable

if TYPE_CHECKING:
    from evalc.backends.lepton.runs.folder import EndpointPlan, RunFolder
    from evalc.backends.lepton.runs.platform import Platform


def remove(platform: Platform, folder: RunFolder, endpoint: EndpointPlan) -> bool:
    """Removes an endpoint; whether it was there.

    One whose creation was asked for a moment ago, and not answered, may still come: that it is not
    there does not count as its end then.

    Raises :class:`~evalc.backends.running.Unreachable`.
    """
    # A log is worth no failure.
    with suppress(Absent, Unreachable, OSError):
        for replica in platform.replicas(endpoint=endpoint.name)[:1]:
            data, _ = so_far(platform.live_log(replica, endpoint=endpoint.name))
            folder.server_log(endpoint).write_bytes(data)
    try:
        platform.delete_endpoint(endpoint.name)
        there = True
    except Absent:
        there = False
        if folder.told_of(endpoint).may_come(time.time() - settle()):
            return False
    path = folder.journal_of(endpoint.folder)
    journal.add(path, "endpoint", name=endpoint.name, event="removed")
    return there
