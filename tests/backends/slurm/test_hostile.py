"""Hostile values through a real Slurm: each arrives whole, and none is executed on any machine.

``tests/properties`` has every field under stand-ins; here are the ways that only Slurm itself has:
``#SBATCH`` lines, a job's and a step's environment, ``srun``'s command lines and the containers' mounts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from backends.slurm.lab import MODEL
from properties.hostile import KINDS, has_control

from evalc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from backends.slurm.lab import Bundle, Lab

# What Slurm takes of a comment, in bytes (slurmctld's _validate_job_desc).
LONGEST = 1024
# Beyond the kinds that other tests have: how sbatch itself reads its lines.
LINES = {
    "a quote": '"',
    "a single quote": "'",
    "a pair of quotes": '"a b"',
    "a backslash at the end": "a\\",
    "an escaped quote": '\\"',
    "a hash in the middle": "a#b # c",
    "patterns of file names": "%j %x %A_%a %%",
    "a space": " ",
    "spaces around": "  a  ",
    "another option": "x --wrap=id --time=1",
    "an own line": "#SBATCH --time=1",
    "a space that is none": "a\u00a0b",
    "as long as can be": "é" * (LONGEST // 2),
}
# By which name, written how, meaning what: every kind of text that can be a value at all.
TEXTS = {name: kind.of("here") for name, kind in KINDS.items()} | {
    name: (text, text) for name, text in LINES.items()
}
CARRIED = {name: (text, means) for name, (text, means) in TEXTS.items() if means is not None}
# All but what no environment variable and no argument can hold.
WHOLE = {name: pair for name, pair in CARRIED.items() if "\0" not in pair[1]}
# All but what stands for a value that run_config.yml gets at run time.
SETTINGS = {name: pair for name, pair in CARRIED.items() if "@@{" not in pair[1]}


def nothing_was_executed(lab: Lab) -> None:
    assert [path for path in lab.cluster.folder.rglob("PWNED*") if not path.is_symlink()] == []


def value_of(job: str, letter: str, lab: Lab) -> str:
    """One field of a job, as Slurm tells it."""
    listed = lab.cluster("squeue", "--noheader", "-j", job, f"--format=%{letter}")
    assert listed.returncode == 0, listed.stderr
    return listed.stdout.removesuffix("\n")


def refused(lab: Lab, key: str, execution: dict[str, Any]) -> None:
    """The value of the key is an error, where it stands."""
    with pytest.raises(ConfigError) as caught:
        lab.bundle(lab.command("true"), execution=execution)
    (problem,) = caught.value.problems
    assert problem.code == "cannot-carry"
    assert problem.location
    lines = problem.location.source.text.split("\n")
    assert lines[problem.location.line - 1].strip().startswith(f"{key}: ")


@pytest.mark.parametrize("name", CARRIED)
def test_a_directive_carries_a_value_or_is_refused(lab: Lab, name: str) -> None:
    """As the comment and as an option that the config adds; the other lines still count."""
    written, meaning = CARRIED[name]
    # Slurm tells the address only where it might be used.
    flags = {"hold": True, "mail-type": "INVALID_DEPEND", "mail-user": written}
    keys = {"comment": written, "sbatch_extra_flags": flags}
    if has_control(meaning) or len(meaning.encode()) > LONGEST:
        refused(lab, "comment", {"comment": written})
        if has_control(meaning):
            refused(lab, "mail-user", {"sbatch_extra_flags": flags})
        return
    job = lab.bundle(lab.command("true"), execution=keys).sbatch()
    assert value_of(job, "k", lab) == meaning
    shown = lab.cluster("scontrol", "show", "job", job).stdout
    assert f"MailUser={meaning} MailType=" in shown
    assert value_of(job, "l", lab) == "10:00"
    assert value_of(job, "j", lab) == "evalc.suite.alpha"
    nothing_was_executed(lab)


def test_the_name_of_a_job(lab: Lab) -> None:
    """It is made of the config's file name, or of what a site accounts by."""
    hold: dict[str, Any] = {"sbatch_extra_flags": {"hold": True}}
    title = 'it\'s $(touch PWNED) & `x` "é" # %j \\'
    job = lab.bundle(lab.command("true"), name=title, execution=hold).sbatch()
    assert value_of(job, "j", lab) == f"evalc.{title}.alpha"
    text = "$(touch${IFS}PWNED);`touch_PWNED`&%j|é"
    execution = {**hold, "account": "$(x);`y`", "subproject": text.replace("${", "\\${")}
    job = lab.bundle(lab.command("true"), execution=execution).sbatch()
    assert value_of(job, "j", lab) == f"$(x);`y`-{text}.alpha"
    nothing_was_executed(lab)


# Writes down what it was given, and then serves.
SERVER = """
import http.server, json, os, sys
with open(os.path.join(sys.argv[1], "server.json"), "w") as file:
    json.dump({"argv": sys.argv[2:], "env": dict(os.environ)}, file)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
"""
TASK = """python3 -c '
import json, os
found = {"env": dict(os.environ), "config": open(os.environ["RUN_CONFIG"], encoding="utf-8", newline="").read()}
found["mounted"] = {path: os.listdir(path) for path in json.loads(os.environ["LOOK"])}
with open(os.path.join(os.environ["RESULTS_DIR"], "task.json"), "w") as file:
    json.dump(found, file)
'"""
# In the path of a mount; Pyxis separates by commas and colons.
PLACES = ('it\'s a "place"', "$(touch PWNED) `touch PWNED`", "a;b & c | # \\ é 😀", "--rm %j ~*?")


def everything(lab: Lab, told: Path) -> Bundle:
    """One job whose fields all hold hostile texts, many of them at once."""
    contained = lab.engine != "none"
    texts = {f"TEXT_{n}": f"lit:{written}" for n, (written, _) in enumerate(WHOLE.values())}
    settings = {"config": {"params": {"extra": {k: w for k, (w, _) in SETTINGS.items()}}}}
    mounts: dict[str, str] = {}
    (told / PLACES[1]).mkdir(parents=True)
    for number, place in enumerate(PLACES if contained else ()):
        (told / place).mkdir(exist_ok=True)
        (told / place / f"found-{number}").touch()
        mounts[str(told / place)] = f"/in it/{place}"
    look = json.dumps([*mounts.values()])
    task = lab.command(
        TASK,
        env_vars={**texts, "LOOK": f"lit:{look}"},
        nemo_evaluator_config=settings,
        dataset_dir=str(told / PLACES[1]),
        dataset_mount_path=f"/data/{PLACES[2]}",
    )
    server = lab.server(env_vars=texts)
    server["command"] = ["python3", "-c", SERVER, str(told), *(w for w, _ in WHOLE.values())]
    server["served_model_name"] = f"{MODEL} {PLACES[1]} {PLACES[0]} {PLACES[2]}"
    at = {str(told): str(told)} if contained else {}
    execution = {
        "mounts": {"evaluation": mounts, "deployment": at},
        "comment": CARRIED["closing quotes"][0],
        "setup": "export FROM_SETUP=1",
    }
    return lab.bundle(
        task, deployment=server, name="it's $(touch PWNED) `x` é", execution=execution
    )


@pytest.mark.parametrize("lab", ["none", "pyxis", "apptainer"], indirect=True)
def test_a_job_that_carries_all_of_them(lab: Lab) -> None:
    told = lab.folder / "told"
    bundle = everything(lab, told)
    bundle.submit()
    assert bundle.ends().name == "done", bundle.everything()
    task = json.loads(bundle.text("alpha", "artifacts", "task.json"))
    server = json.loads((told / "server.json").read_text())
    for number, (name, (_, meaning)) in enumerate(WHOLE.items()):
        assert task["env"][f"TEXT_{number}"] == meaning, name
        assert server["env"][f"TEXT_{number}"] == meaning, name
    assert server["argv"] == [meaning for _, meaning in WHOLE.values()]
    model = f"{MODEL} {PLACES[1]} {PLACES[0]} {PLACES[2]}"
    assert (task["env"]["MODEL_ID"], server["env"]["MODEL_ID"]) == (model, model)
    read = yaml.safe_load(task["config"])
    assert read["target"]["api_endpoint"]["model_id"] == model
    assert read["config"]["params"]["extra"] == {k: means for k, (_, means) in SETTINGS.items()}
    if lab.engine == "none":
        assert task["env"]["NEMO_EVALUATOR_DATASET_DIR"] == str(told / PLACES[1])
    else:
        assert task["env"]["NEMO_EVALUATOR_DATASET_DIR"] == f"/data/{PLACES[2]}"
        found = {f"/in it/{place}": [f"found-{n}"] for n, place in enumerate(PLACES)}
        assert task["mounted"] == found
    nothing_was_executed(lab)
