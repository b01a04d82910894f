"""A report's page in a real browser: it loads nothing, complains of nothing, and follows the
reader's choice of light or dark. How it looks, people have to look at:

    evalc report DIR... --format html --output page.html
    chromium-headless-shell --no-sandbox --window-size=390,2400 --screenshot page.html
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import engines
import pytest
from export.made import answers, bundle, ended, lm_eval, results_yml

from evalc.export.reading import read_run
from evalc.export.report import html
from evalc.export.table import tabulate

if TYPE_CHECKING:
    from pathlib import Path

# What would be asked for, and complained of, if names were taken for HTML.
EVIL = "<script>console.error(1)</script><img src=http://127.0.0.1:9/evil.png>\"'&"


@dataclass
class Shown:
    """What a browser made of a page: what it asked for, what it said in its console, the colour of
    the picture's first point, and the printed document."""

    urls: list[str]
    console: list[str]
    colour: tuple[int, int, int]
    printed: bytes


def shown(page: Path, *, dark: bool = False, width: int = 1200) -> Shown:
    browser = engines.find("chromium-headless-shell")
    if browser is None:
        engines.cannot_run("a browser", "is not installed; run tests/testbed/install.sh")
    folder = page.parent
    picture, net, paper = folder / "page.png", folder / "net.json", folder / "page.pdf"
    options = [
        "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--log-net-log={net}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--window-size={width},900", f"--user-data-dir={folder / 'profile'}",
    ]  # fmt: skip
    said = ""
    for what in (f"--print-to-pdf={paper}", f"--screenshot={picture}"):
        ran = subprocess.run(
            [browser, *options, what, page.as_uri()],
            env={**os.environ, "HOME": str(folder)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        said += ran.stderr
    urls = re.findall(r'"url":"(https?:[^"]*)"', net.read_text())
    console = [line for line in said.splitlines() if ":CONSOLE" in line]
    return Shown(urls, console, first_point(picture.read_bytes()), paper.read_bytes())


def first_point(png: bytes) -> tuple[int, int, int]:
    """Of the first point there is nothing that its bytes could be the difference from."""
    packed, at = b"", 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + size]
        at += size + 12
    red, green, blue = zlib.decompress(packed)[1:4]
    return red, green, blue


@pytest.fixture
def page(tmp_path: Path) -> Path:
    for name, model, right in (("a", "big/model", 70), ("b", EVIL, 50)):
        run = bundle(tmp_path / name, ["one", "two"], model=model)
        lm_eval(run / "one", "one", answers(100, right))
        ended(run / "one")
        if name == "a":
            results_yml(run / "two", {EVIL: {"bleu": {"bleu": (31, {"stderr": 0.5})}}})
        ended(run / "two", 0 if name == "a" else 7, "" if name == "a" else EVIL)
    file = tmp_path / "page.html"
    runs = [read_run(tmp_path / name) for name in "ab"]
    file.write_text(html.render(tabulate(runs, "big/model")), encoding="utf-8")
    return file


def test_nothing_is_asked_for_and_nothing_complained_of(page: Path) -> None:
    light, dark = shown(page), shown(page, dark=True, width=390)
    assert (light.urls, light.console, dark.urls, dark.console) == ([], [], [], [])
    assert min(light.colour) > 200
    assert max(dark.colour) < 60
    assert dark.printed.startswith(b"%PDF")


def test_that_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!DOCTYPE html><body>{EVIL}")
    seen = shown(file)
    assert seen.console
    assert "http://127.0.0.1:9/evil.png" in seen.urls
