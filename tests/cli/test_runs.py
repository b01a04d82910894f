"""The commands that deal with runs, on this machine and without containers."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    Ran = subprocess.CompletedProcess[str]


class Laptop:
    """A folder with a config, and evalc with a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "EVALC_HOME": str(folder / "state"), "COLUMNS": "200"}

    def config(self, *tasks: dict[str, Any], name: str = "suite", **whole: Any) -> None:
        execution = {"type": "local", "engine": "none", **whole.pop("execution", {})}
        endpoint = {"url": "http://127.0.0.1:9/v1/chat/completions", "model_id": "m"}
        config = {
            "execution": execution,
            "target": {"api_endpoint": endpoint},
            "evaluation": {"tasks": list(tasks)},
            **whole,
        }
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(config))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "evalc", *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0) -> Ran:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, f"{out}\n{err}"
        assert "Traceback" not in err
        assert "evalc itself failed" not in err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run(self) -> str:
        """Submits the config; the run's id."""
        (run,) = json.loads(self("run", "suite.yaml", "--json").stdout)
        id_: str = run["invocation"]
        return id_

    def states(self, id_: str) -> list[str]:
        process = self.start("status", "--json", id_)
        out, err = process.communicate(timeout=60)
        assert out, err
        return [job["state"] for run in json.loads(out) for job in run["jobs"]]


def waits(name: str, then: str = "") -> dict[str, Any]:
    """A task that goes on when the file of its name is there, beside the config."""
    text = f"""
        until [ -e ../../../../go-{name} ]; do sleep 0.05; done
        {then}
    """
    return {"name": name, "command": text}


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    laptop = Laptop(tmp_path)
    yield laptop
    for run in json.loads(laptop("ls", "runs", "--json").stdout):
        laptop("kill", run["invocation"])


def test_from_config_to_results(laptop: Laptop) -> None:
    laptop.config(
        {"name": "alpha", "command": "echo hello; echo 1 >$RESULTS_DIR/score"},
        {"name": "beta", "command": "exit 3"},
    )
    told = laptop("run", "suite.yaml")
    id_ = re.search(r"^(\w+): suite", told.stdout, re.MULTILINE)[1]  # type: ignore[index]
    watched = laptop("status", id_, "--watch", "--interval", "0.1", code=1)
    assert re.search(rf"{id_}\.1  alpha  completed", watched.stdout)
    assert re.search(rf"{id_}\.2  beta  failed .*exit code 3", watched.stdout)
    assert laptop("logs", f"{id_}.1").stdout == "hello\n"
    laptop("fetch", id_, "--to", "here")
    assert (laptop.folder / "here" / "alpha" / "artifacts" / "score").read_text() == "1\n"
    assert "0 files" in laptop("fetch", id_, "--to", "here").stdout
    assert "1 completed, 1 failed" in laptop("ls", "runs").stdout
    history = laptop("info", id_).stdout
    assert "completed" in history
    assert str(laptop.folder / "results") in history
    info = json.loads(laptop("info", id_, "--json").stdout)
    assert [job["state"] for job in info["jobs"]] == ["completed", "failed"]
    assert {event["what"] for event in info["events"]} >= {"intended", "submitted", "state"}


def test_a_run_of_another_machine_keeps_none_of_this_one_from_being_asked(laptop: Laptop) -> None:
    """As with a home folder that both have."""
    laptop.config(waits("alpha"))
    before, here, after = laptop.run(), laptop.run(), laptop.run()
    machines = sqlite3.connect(laptop.folder / "state" / "runs.sqlite")

    def move(name: str) -> None:
        with machines:
            move = "UPDATE invocations SET machine = ? WHERE id IN (?, ?)"
            machines.execute(move, (name, before, after))

    ((name,),) = machines.execute("SELECT DISTINCT machine FROM invocations")
    move("elsewhere")
    told = json.loads(laptop("status", "--json", before, here, after, code=4).stdout)
    assert {run["invocation"]: run["jobs"][0]["state"] for run in told} == {
        before: "unknown", here: "running", after: "unknown",
    }  # fmt: skip
    move(name)
    machines.close()
    (laptop.folder / "go-alpha").touch()


def test_fetch_overwrites_nothing_of_others(laptop: Laptop) -> None:
    laptop.config({"name": "alpha", "command": "echo new >score"})
    first, second = laptop.run(), laptop.run()
    for id_ in (first, second):
        laptop("status", id_, "--watch", "--interval", "0.1")
    mine = laptop.folder / "mine" / "alpha" / "artifacts" / "score"
    mine.parent.mkdir(parents=True)
    mine.write_text("old\n")
    assert "mine is not empty" in laptop("fetch", first, "--to", "mine", code=2).stderr
    assert mine.read_text() == "old\n"
    laptop("fetch", first, "--to", "one")
    (laptop.folder / "one" / "notes").write_text("they may lie beside it")
    laptop("fetch", first, "--to", "one")
    said = laptop("fetch", second, "--to", "one", code=2).stderr
    assert f"one holds what was fetched of {first}" in said
    # Several runs get a folder each.
    laptop("fetch", first, second, "--to", "both")
    assert {path.name for path in (laptop.folder / "both").iterdir()} == {first, second}
    (laptop.folder / "file").write_text("")
    assert "file" in laptop("fetch", first, "--to", "file/below", code=2).stderr


def test_kill_and_resume(laptop: Laptop) -> None:
    laptop.config(waits("alpha"), waits("beta"))
    id_ = laptop.run()
    wait_for(lambda: laptop.states(id_) == ["running", "pending"])
    laptop("status", id_, code=4)
    laptop("kill", id_)
    assert laptop.states(id_) == ["cancelled", "cancelled"]
    laptop("kill", id_)
    for name in ("alpha", "beta"):
        (laptop.folder / f"go-{name}").touch()
    laptop("resume", id_)
    wait_for(lambda: laptop.states(id_) == ["completed", "completed"])
    laptop("status", id_)


def test_only_what_failed_is_repeated(laptop: Laptop) -> None:
    laptop.config(
        {"name": "alpha", "command": "echo ran >>../ran"}, waits("beta", "[ -e ../../../../good ]")
    )
    (laptop.folder / "go-beta").touch()
    id_ = laptop.run()
    wait_for(lambda: laptop.states(id_) == ["completed", "failed"])
    (laptop.folder / "good").touch()
    laptop("resume", f"{id_}.2")
    wait_for(lambda: laptop.states(id_) == ["completed", "completed"])
    (ran,) = laptop.folder.glob("results/*/alpha/ran")
    assert ran.read_text() == "ran\n"


def test_run_and_wait(laptop: Laptop) -> None:
    laptop.config({"name": "alpha", "command": "true"})
    assert "completed" in laptop("run", "suite.yaml", "--wait").stdout
    laptop.config({"name": "alpha", "command": "false"})
    laptop("run", "suite.yaml", "--wait", code=1)


def test_dry_run_shows_all_and_does_nothing(laptop: Laptop) -> None:
    laptop.config({"name": "alpha", "command": "echo hello"}, evaluation={
        "env_vars": {"KEY": "host:KEY"}, "tasks": [{"name": "alpha", "command": "echo hello"}],
    })  # fmt: skip
    told = laptop("run", "suite.yaml", "--dry-run").stdout
    assert "secret KEY is NOT set" in told
    assert "==> alpha/command.sh <==" in told
    assert "echo hello" in told
    assert not (laptop.folder / "results").exists()
    assert laptop("ls", "runs").stdout == ""


def test_the_folder_of_a_run(laptop: Laptop) -> None:
    laptop.config({"name": "alpha", "command": "true"}, execution={"output_dir": "./a b"})
    id_ = laptop.run()
    (folder,) = laptop.folder.glob("a b/*")
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d-\d\d-\d\d-\d\d-{id_}", folder.name)
    assert (folder / "manifest.json").read_bytes() == (
        laptop.folder / "build" / "suite" / "manifest.json"
    ).read_bytes()


def test_an_edited_bundle(laptop: Laptop) -> None:
    laptop.config({"name": "alpha", "command": "true"})
    laptop("compile", "suite.yaml")
    file = laptop.folder / "build" / "suite" / "alpha" / "command.sh"
    file.write_text("#!/usr/bin/env bash\necho edited\n")
    refused = laptop("submit", "build/suite", code=1)
    assert "was edited since it was compiled: alpha/command.sh" in refused.stderr
    assert laptop("ls", "runs").stdout == ""
    (run,) = json.loads(laptop("submit", "build/suite", "--allow-edited", "--json").stdout)
    assert run["edited"] is True
    id_ = run["invocation"]
    wait_for(lambda: laptop.states(id_) == ["completed"])
    assert laptop("logs", id_).stdout == "edited\n"


def test_secrets_stay_out(laptop: Laptop) -> None:
    check = 'printf %s "$KEY" | sha256sum >../digest'
    laptop.config(evaluation={
        "env_vars": {"KEY": "host:KEY"}, "tasks": [{"name": "alpha", "command": check}],
    })  # fmt: skip
    laptop.env.pop("KEY", None)
    assert "not set in the environment: KEY" in laptop("run", "suite.yaml", code=1).stderr
    laptop.env["KEY"] = "needle-2718 'x' \"y\"\nz"
    laptop("run", "suite.yaml", "--wait")
    (digest,) = laptop.folder.glob("results/*/alpha/digest")
    import hashlib

    assert digest.read_text().split()[0] == hashlib.sha256(laptop.env["KEY"].encode()).hexdigest()
    for file in laptop.folder.rglob("*"):
        if file.is_file():
            assert b"needle-2718" not in file.read_bytes(), file


def test_ids(laptop: Laptop) -> None:
    laptop.config({"name": "alpha", "command": "true"})
    id_ = laptop.run()
    laptop("info", id_[:2].upper())
    assert "there is no run or job 'zzz'" in laptop("status", "zzz", code=2).stderr
    assert f"did you mean {id_}.1" in laptop("kill", f"{id_}.7", code=2).stderr
    ids = {id_}
    while len({known[0] for known in ids}) == len(ids):
        ids.add(laptop.run())
    first = next(a[0] for a in ids for b in ids if a != b and a[0] == b[0])
    assert f"runs begin with '{first}'" in laptop("info", first, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("submit", "nothing"), 2, "nothing is no folder with a bundle"),
        (("submit", "."), 2, "'evalc compile CONFIG' makes one"),
        (("submit",), 2, "missing argument"),
        (("submit", "build/suite", "--host", "-oProxyCommand=touch owned"), 2, "is no host name"),
        (("run", "nothing.yaml"), 2, "nothing.yaml"),
        (("run", "suite.yaml", "-t", "nothing"), 1, "nothing"),
        (("status", "b", "--interval", "0"), 2, "interval"),
        (("ls", "runs", "--since", "yesterday"), 2, "is no span of time"),
        (("logs", "bcdf", "--tail", "-1"), 2, "tail"),
        (("fetch", "bcdf"), 2, "there is no run or job"),
        (("resume", "bcdf"), 2, "there is no run or job"),
    ],
)
def test_wrong_input(laptop: Laptop, arguments: tuple[str, ...], code: int, says: str) -> None:
    laptop.config({"name": "alpha", "command": "true"})
    laptop("compile", "suite.yaml")
    assert says in laptop(*arguments, code=code).stderr
    assert not (laptop.folder / "owned").exists()
    assert not (laptop.folder / "results").exists()


def test_status_tells_how_exporting_went(laptop: Laptop) -> None:
    made = 'echo "results: {tasks: {t: {metrics: {m: {scores: {m: {value: 1}}}}}}}" >results.yml'
    laptop.config(
        {"name": "alpha", "command": made},
        execution={"auto_export": {"destinations": ["local", "wandb"]}},
        export={"local": {"output_dir": "${execution.output_dir}/out"}, "wandb": {"project": "p"}},
    )
    # What evalc is called by need not be in PATH, and then files are copied without it.
    laptop.env["PATH"] = ":".join(
        part for part in laptop.env["PATH"].split(":") if not Path(part, "evalc").exists()
    )
    id_ = laptop.run()
    wait_for(lambda: [p for p in laptop.folder.rglob("stage.export") if " 1 " in p.read_text()])
    out = laptop("status", id_).stdout
    # It is no state of the run's.
    assert "completed" in out
    assert f"{id_}: export of results: FAILED: wandb: evalc is not in PATH here" in out
    (told,) = json.loads(laptop("status", id_, "--json").stdout)
    assert told["export"].startswith("FAILED: wandb: ")
    assert list(laptop.folder.glob(f"results/out/{id_}/alpha/artifacts/results.yml"))


def test_a_bundle_of_another_version(laptop: Laptop) -> None:
    laptop.config({"name": "alpha", "command": "true"})
    laptop("compile", "suite.yaml")
    manifest = laptop.folder / "build" / "suite" / "manifest.json"
    whole = json.loads(manifest.read_text())
    whole["schema_version"] = 2
    whole["compiler"]["version"] = "9.1"
    manifest.write_text(json.dumps(whole))
    assert "compiled by evalc 9.1" in laptop("submit", "build/suite", code=2).stderr
    manifest.write_text("{")
    assert "is damaged" in laptop("submit", "build/suite", code=2).stderr


def test_ctrl_c_stops_watching_only(laptop: Laptop) -> None:
    laptop.config(waits("alpha"))
    id_ = laptop.run()
    with laptop.start("status", id_, "--watch", "--interval", "0.1") as watching:
        assert watching.stdout is not None
        assert id_ in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
    assert laptop.states(id_) == ["running"]
    with laptop.start("logs", id_, "--job", "--follow") as following:
        assert following.stdout is not None
        assert following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130
    wait_for(lambda: not followers(laptop.folder))


def followers(folder: Path) -> list[str]:
    """The processes that follow a log somewhere in a folder."""
    found = subprocess.run(["pgrep", "-x", "tail"], capture_output=True, text=True, check=False)
    pids = []
    for pid in found.stdout.split():
        with suppress(FileNotFoundError):  # it has ended meanwhile
            if Path("/proc", pid, "cwd").readlink().is_relative_to(folder):
                pids.append(pid)
    return pids
