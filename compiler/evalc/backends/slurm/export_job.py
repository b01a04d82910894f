"""The job that exports results when all others have ended, and what it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc import __version__
from evalc.backends import scripts
from evalc.backends.base import Artifact
from evalc.backends.exporting import CALL, Exporting
from evalc.backends.slurm import cost
from evalc.backends.slurm.commands import call_contained, seen
from evalc.backends.slurm.directives import export_directives
from evalc.emit import quoting
from evalc.emit.environment import shell_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.backends.exporting import ForReadme
    from evalc.backends.slurm.options import Options
    from evalc.emit.commands import CommandLines
    from evalc.plan import Plan
    from evalc.words import Word

_SCRIPT = "sbatch_export.sh"
_LIBRARY = ("export_job.sh", "export_live.sh", "export_queue.sh")
# How many jobs it waits for at a time, see templates/lib/export_live.sh.
_AT_A_TIME = 200
_WHEN = """\
`submit_all.sh` also queues `sbatch_export.sh`, a small job that exports the results when all other
jobs have ended."""


class ExportJob:
    """See the module; there is nothing of it for a plan that exports nothing."""

    def __init__(self, plan: Plan, options: Options) -> None:
        self.plan = plan
        self.options = options
        self.exporting = Exporting(plan)
        self.automatic = self.exporting.automatic

    @property
    def image(self) -> Word | None:
        """The container that evalc is called in, where there is one."""
        used = self.plan.export is not None and self.automatic.by_evalc
        return self.automatic.image if used and self.options.engine != "none" else None

    @property
    def images(self) -> Sequence[Word]:
        """The same, as a list."""
        return [] if self.image is None else [self.image]

    @property
    def secrets(self) -> set[str]:
        """The variables that are read where the jobs are submitted."""
        return self.exporting.inputs.host

    def artifacts(self, digests: Mapping[str, str]) -> Iterator[Artifact]:
        """``digests`` are those of all tasks, by their ids."""
        if self.plan.export is None:
            return
        call: CommandLines = [["exec", *CALL]]
        mounts: Sequence[CommandLines] = []
        if self.image is not None:
            names = [variable.name for variable in self.plan.export.env]
            call = call_contained(self.image, self.options, names)
            mounts = [seen(self.automatic.mounts)]
        commands = [*self.exporting.variables(), *mounts, call]
        contained = self.image is not None
        yield from self.exporting.artifacts(digests, commands, _SCRIPT, contained=contained)
        text = shell_environment().get_template(f"slurm/{_SCRIPT}.j2").render(
            plan=self.plan,
            version=__version__,
            directives=export_directives(self.plan, self.options),
            secrets=sorted(self.secrets),
            # The jobs of a chain follow each other: of those that are waited for, all have ended.
            rounds=max(map(cost.attempts, self.plan.jobs)) + len(digests) // _AT_A_TIME + 1,
        )  # fmt: skip
        yield Artifact(_SCRIPT, text.encode(), executable=True)
        yield from scripts.library(_LIBRARY)

    def for_readme(self) -> ForReadme:
        """What the bundle's README says of it."""
        where = "on the node where that job runs"
        if self.image is not None:
            where = f"in the image {quoting.code_span(quoting.show(self.image))}"
        return self.exporting.for_readme(_WHEN, where)
