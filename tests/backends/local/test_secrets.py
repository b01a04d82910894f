"""Secrets reach the program that needs them, whole, and nothing else ever shows them."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

from backends.local.lab import Bundle, Lab, by_each_script, contents
from waiting import wait_for

NEEDLE = f"needle{uuid.uuid4().hex}"
NASTY = f"""{NEEDLE} 'single' "double" $(touch /tmp/owned) `id` ${{HOME}} \\n \\\\ back\\
second line	tab ü😀 & ; | # = end
"""
OTHER = f"{NEEDLE}-the-other"
# What a program finds, as digests: the values themselves must not be in any file.
DIGESTS = """python3 -c '
import hashlib, os
for name in os.environ["NAMES"].split():
    print(name, hashlib.sha256(os.environb[name.encode()]).hexdigest())
'"""


def digests(text: str) -> dict[str, str]:
    return dict(line.split()[:2] for line in text.splitlines())


def expected(**values: str) -> dict[str, str]:
    return {name: hashlib.sha256(value.encode()).hexdigest() for name, value in values.items()}


def asks(lab: Lab, **env_vars: str) -> dict[str, Any]:
    """A task that tells its secrets' digests, and waits until it may end."""
    text = f"""{DIGESTS} >"$RESULTS_DIR/told"
        until [ -e "{lab.shared}/go" ]; do sleep 0.05; done"""
    return lab.command(text, env_vars={"NAMES": f"lit:{' '.join(env_vars)}", **env_vars})


def serves(lab: Lab, **env_vars: str) -> dict[str, Any]:
    """A server that does so."""
    told = lab.shared / "told"
    return lab.server(
        pre_cmd=f"{DIGESTS} >{told}",
        env_vars={"NAMES": f"lit:{' '.join(env_vars)}", **env_vars},
    )


def nobody_shows_them(lab: Lab) -> None:
    """No file below the test's folder, and no command line, holds a part of a value."""
    for path in lab.folder.rglob("*"):
        if path.is_file():
            assert NEEDLE.encode() not in path.read_bytes(), path
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        assert NEEDLE.encode() not in contents(path), path


def evaluated(bundle: Bundle, script: str, *options: str, env: dict[str, str]) -> str:
    """Runs it, looking around in the middle of it; what the task told."""
    (bundle.lab.shared / "go").unlink(missing_ok=True)
    told = bundle.path("alpha", "artifacts", "told")
    running = bundle.start(script, "--force", env=env, options=options)
    wait_for(lambda: bundle.stages().get("running") and told.exists() and told.read_text())
    nobody_shows_them(bundle.lab)
    (bundle.lab.shared / "go").touch()
    ran = running.ends()
    assert ran.code == 0, ran.said
    nobody_shows_them(bundle.lab)
    return told.read_text()


@by_each_script
def test_values_arrive_whole_and_stay_hidden(lab: Lab, script: str) -> None:
    """Under their own names, under others, swapped, and twice; with ``bash -x`` too."""
    env_vars = {
        "SAME": "host:SAME",
        "RENAMED": "host:SAME",
        "LATER": "runtime:OTHER",
        "SWAP_A": "host:SWAP_B",
        "SWAP_B": "host:SWAP_A",
        "DEFAULTED": "${oc.env:GIVEN,nothing}",
        "MIXED": "Bearer ${oc.env:OTHER}!",
    }
    values = {"SAME": NASTY, "OTHER": OTHER, "SWAP_A": "a" + NASTY, "SWAP_B": "b" + NASTY}
    values["GIVEN"] = f"given {NASTY}"
    bundle = lab.bundle(asks(lab, **env_vars), deployment=serves(lab, **env_vars))
    want = expected(
        SAME=NASTY,
        RENAMED=NASTY,
        LATER=OTHER,
        SWAP_A=values["SWAP_B"],
        SWAP_B=values["SWAP_A"],
        DEFAULTED=values["GIVEN"],
        MIXED=f"Bearer {OTHER}!",
    )
    for options in ((), ("-x",)):
        assert digests(evaluated(bundle, script, *options, env=values)) == want
        assert digests((lab.shared / "told").read_text()) == want
    assert not Path("/tmp/owned").exists()


def test_a_key_by_its_name(lab: Lab) -> None:
    """``api_key_name`` alone brings the key to the harness."""
    bundle = lab.bundle(lab.harness(), target={"api_endpoint": {"api_key_name": "THE_KEY"}})
    assert bundle.run(env={"THE_KEY": f"{NEEDLE} sesame"}).code == 0
    nobody_shows_them(lab)
