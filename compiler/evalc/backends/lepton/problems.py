"""What a config may mean on Lepton, and most likely does not."""

from __future__ import annotations

from typing import ClassVar

from evalc.errors import Problem


class LosesResults(Problem):
    """Nothing of a job is kept when it ends."""

    code: ClassVar[str] = "loses-results"
    severity: ClassVar[str] = "warning"

    @property
    def message(self) -> str:
        return "without shared storage, results end with their job, and finished tasks run again"


class ScalesToZero(Problem):
    """An endpoint that stops when it is idle. ``how`` is the key that makes it do so."""

    code: ClassVar[str] = "scales-to-zero"
    severity: ClassVar[str] = "warning"
    how: str

    @property
    def message(self) -> str:
        return (
            f"'{self.how}' lets an idle endpoint stop, and Lepton can't start it again by itself: "
            "jobs that wait for it would wait in vain"
        )
