"""Results that are exported by themselves: what backends whose jobs are bash scripts make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalc import __version__
from evalc.backends import scripts
from evalc.backends.base import Artifact
from evalc.emit import quoting
from evalc.emit.commands import Raw, command_line
from evalc.emit.environment import shell_environment
from evalc.plan import Mount
from evalc.plan.serialise import export_words
from evalc.plan.settings import as_word
from evalc.words import Word, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.emit.commands import CommandLines, Item
    from evalc.plan import Plan

_SCRIPT = "export.sh"
_INSTALL = "export_install.sh"
_LIBRARY = ("call_evalc.sh", "export.sh", "export_due.sh")
# What calls evalc; it finds out by itself what installs it.
CALL: tuple[Item, ...] = ("bash", Raw('"$_bundle_dir/lib/call_evalc.sh"'), Raw('"$@"'))

_AFTERWARDS = """\
What fails there is told in a line, in `logs/stage.export` and in `logs/export.log`, and changes
nothing about the run. `bash export.sh` does it again; the same twice adds nothing."""


@dataclass(frozen=True, slots=True)
class Automatic:
    """``execution.auto_export``, typed. ``install`` is bash text of the user's; ``image`` and
    ``mounts`` are of the container that evalc is called in, where there is one."""

    destinations: tuple[str, ...] = ()
    install: str = ""
    image: Word | None = None
    mounts: tuple[Mount, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Automatic:
        """From a plan's validated options."""
        block = options.get("auto_export") or {}
        return cls(
            tuple(dict.fromkeys(block.get("destinations") or ())),
            (block.get("launcher_install_cmd") or "").strip(),
            as_word(block.get("export_image")),
            tuple(_mount(*pair) for pair in (block.get("export_mounts") or {}).items()),
        )

    @property
    def by_evalc(self) -> tuple[str, ...]:
        """The destinations that nothing but evalc can export to."""
        return tuple(name for name in self.destinations if name != "local")


@dataclass(frozen=True, slots=True)
class ForReadme:
    """What a bundle's README says of it: what it needs, an item each; and how it goes."""

    needs: Sequence[str] = ()
    lines: Sequence[str] = ()


@dataclass(slots=True)
class Exporting:
    """What there is to emit for a plan that exports; nothing for one that does not.

    ``commands`` call evalc with the arguments of the function that they are the body of.
    """

    plan: Plan
    automatic: Automatic = field(init=False)
    inputs: scripts.Inputs = field(init=False)

    def __post_init__(self) -> None:
        self.automatic = Automatic.of(self.plan.options)
        self.inputs = scripts.Inputs(export_words(self.plan), frozenset())

    def artifacts(
        self, tasks: Mapping[str, str], commands: Sequence[CommandLines], starter: str,
        *, contained: bool = False,
    ) -> Iterator[Artifact]:  # fmt: skip
        """``tasks`` are the digests of all tasks by their ids; ``starter`` is the script that
        starts this one."""
        export = self.plan.export
        if export is None:
            return
        text = shell_environment().get_template("export/export.sh.j2").render(
            plan=self.plan,
            version=__version__,
            starter=starter,
            to=", ".join(self.automatic.destinations),
            destinations=self.automatic.destinations,
            contained=contained,
            tasks=[f"{id_}:{digest}" for id_, digest in tasks.items()],
            defaults=self.inputs.defaults,
            needs=scripts.Inputs((var.value for var in export.env), frozenset()).required,
            folder_needs=scripts.Inputs([export.output_dir], frozenset()).required,
            output_dir=export.output_dir,
            copy_artifacts="1" * export.copy_artifacts,
            only_required="1" * export.only_required,
            copy_logs="1" * export.copy_logs,
            commands=[command_line(lines) for lines in commands],
        )  # fmt: skip
        yield Artifact(_SCRIPT, text.encode(), executable=True)
        if self.automatic.install:
            yield scripts.script(_INSTALL, self.automatic.install)
        yield from scripts.library(_LIBRARY)

    def variables(self) -> list[CommandLines]:
        """An export of what exporters find in their environment."""
        export = self.plan.export
        return scripts.export([], export.env) if export and export.env else []

    def for_readme(self, when: str, where: str) -> ForReadme:
        """``when`` it exports, as a sentence; ``where`` evalc is called, in words."""
        if self.plan.export is None:
            return ForReadme()
        by_evalc = self.automatic.by_evalc
        needs = []
        if by_evalc:
            evalc = "evalc in PATH"
            if self.automatic.install:
                evalc = "what installs evalc (`export_install.sh` does)"
            names = " and ".join(", ".join(by_evalc).rsplit(", ", 1))
            needs.append(f"to export to {names}: {evalc} {where}, and a network from there")
        lines = when.split("\n")
        if "local" in self.automatic.destinations:
            folder = quoting.code_span(quoting.show(self.plan.export.output_dir))
            lines.append(
                f"Files are copied to {folder}, which needs no evalc; its table of scores does."
            )
        lines += _AFTERWARDS.split("\n")
        return ForReadme(needs, lines)


def _mount(source: str, target: str) -> Mount:
    path, _, mode = str(target).partition(":")
    return Mount(literal(source), path, read_only=mode == "ro")
