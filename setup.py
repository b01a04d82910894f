"""Puts the data that stands at the repository's top into the package.

``templates/`` and ``schemas/`` are for people to read and so stay at the top; setuptools can only
take package data from below a package, so the build copies them there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithData(build_py):
    """``build_py`` that also copies the data folders into the built package."""

    def run(self) -> None:
        """Build, then copy. An editable install reads the folders where they are."""
        super().run()
        if self.editable_mode:
            return
        for name in ("templates", "schemas"):
            target = Path(self.build_lib, "evalc", name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / name, target)


setup(cmdclass={"build_py": BuildWithData})
