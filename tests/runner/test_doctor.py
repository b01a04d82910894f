"""``evalc doctor``: what is wrong is said with what to do, and nothing is left behind."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from sshd import HOST

from evalc.backends.running import Ran, Verdict
from evalc.backends.slurm.runs import diagnosis
from evalc.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clusters import Cluster
    from engines import Engine
    from sshd import Sshd

PARTITIONS = """\
PartitionName=batch AllowAccounts=ALL AllowQos=ALL Default=YES MaxNodes=UNLIMITED \
MaxTime=4-00:00:00 State=UP TotalNodes=4
PartitionName=gpu AllowAccounts=nlp,vision AllowQos=ALL Default=NO MaxNodes=2 MaxTime=08:00:00 \
State=UP TotalNodes=8
PartitionName=old AllowAccounts=ALL AllowQos=ALL Default=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED \
State=DOWN TotalNodes=1
"""
NODES = "batch|(null)|4\ngpu|gpu:a100:8(S:0-1)|6\ngpu|gpu:h100:4(S:0,1),nvme:1|2\n"
STRICT = "AccountingStorageEnforce = associations,limits,qos,safe\n"


class Told(NamedTuple):
    """What a command did; its checks as it prints them in JSON."""

    code: int
    checks: list[dict[str, str]]

    def all(self, verdict: str) -> str:
        """What was found with this verdict, with what to do, a line each."""
        return "\n".join(
            f"{one['what']}: {one['todo']}" for one in self.checks if one["verdict"] == verdict
        )


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Told]:
    """``evalc doctor --json``, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALC_HOME", str(tmp_path / "state"))

    def run(*arguments: str) -> Told:
        code = main(["doctor", "--json", *arguments])
        said = capsys.readouterr()
        assert said.out, said.err
        return Told(code, json.loads(said.out))

    return run


@pytest.fixture
def cluster_config(
    slurm: Cluster, login_node: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Writes the config ``suite.yaml`` for the cluster behind ssh."""
    for name, value in login_node.env.items():
        monkeypatch.setenv(name, value)
    yield lambda **execution: write_config(
        tmp_path,
        type="slurm",
        hostname=HOST,
        output_dir=str(slurm.folder / "results" / "new"),
        walltime="00:10:00",
        **execution,
    )
    login_node.restore()


def write_config(folder: Path, image: str = "", **execution: Any) -> None:
    container = {"container": image} if image else {}
    whole = {
        "execution": execution,
        "target": {
            "api_endpoint": {"url": "http://127.0.0.1:9/v1/chat/completions", "model_id": "m"}
        },
        "evaluation": {"tasks": [{"name": "one", "command": "true", **container}]},
    }
    (folder / "suite.yaml").write_text(yaml.safe_dump(whole))


def test_a_good_cluster_and_one_without_accounting(
    doctor: Callable[..., Told],
    cluster_config: Callable[..., None],
    slurm: Cluster,
    tmp_path: Path,
) -> None:
    image = tmp_path / "image.sqsh"
    image.touch()
    cluster_config(
        image=str(image),
        partition="high",
        account="root",
        qos="normal",
        gpus_per_node=8,
        mounts={"evaluation": {str(tmp_path): "/data"}},
    )
    before = sorted(slurm.folder.rglob("*"))
    good = doctor("suite.yaml")
    assert {one["verdict"] for one in good.checks} == {"ok", "unsure"}, good.all("wrong")
    # The nodes of the tests are all on one machine; that nothing can tell.
    assert re.fullmatch(
        rf"{slurm.folder} is on a disk of the machine that submits \(.*\): .*", good.all("unsure")
    )
    assert good.code == 0
    found = good.all("ok")
    for what in (
        HOST,
        "sbatch",
        "'high'",
        "'root'",
        "'normal'",
        "8 GPUs",
        str(image),
        str(tmp_path),
    ):
        assert what in found
    assert f"so far there is {slurm.folder}" in found
    assert sorted(slurm.folder.rglob("*")) == before

    slurm.stop("slurmdbd")
    without = doctor("suite.yaml")
    assert without.code == 0
    assert "account 'root' can't be checked" in without.all("unsure")
    assert "Connection refused" in without.all("unsure")


def test_all_that_is_wrong_on_a_cluster_at_once(
    doctor: Callable[..., Told],
    cluster_config: Callable[..., None],
    login_node: Sshd,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.delenv("HF_TOKEN", raising=False)
    cluster_config(
        image="/nowhere/image.sqsh",
        partition="hihg",
        account="nobody",
        mounts={"evaluation": {"/nowhere/data": "/data"}},
        env_vars={"HF_TOKEN": "host:HF_TOKEN"},
    )
    config = tmp_path / "suite.yaml"
    whole = yaml.safe_load(config.read_text())
    whole["execution"]["output_dir"] = str(file / "results")
    config.write_text(yaml.safe_dump(whole))
    bad = doctor("suite.yaml")
    assert bad.code == 1
    wrong = bad.all("wrong")
    assert "partition 'hihg' is not there: did you mean 'high'? there are batch, high" in wrong
    assert "image /nowhere/image.sqsh is not on testhost" in wrong
    assert "mount /nowhere/data is not on testhost" in wrong
    assert "secret HF_TOKEN is not set" in wrong
    assert f"can't be written (so far there is {file}): it is no folder" in wrong
    # Here nobody insists on accounts.
    assert "account 'nobody' is not there" in bad.all("unsure")

    login_node.stop()
    login_node.kill_connections()
    away = doctor("suite.yaml")
    assert away.code == 4
    assert f"{HOST} can't be reached: " in away.all("wrong")
    # What can be told here is.
    assert "secret HF_TOKEN is not set" in away.all("wrong")
    assert "partition" not in away.all("wrong")


def found(asked: dict[str, str], **answers: Ran) -> dict[Verdict, str]:
    """What is made of these answers, beside those of a cluster that is strict."""
    given = {
        "partitions": Ran(0, PARTITIONS),
        "gpus": Ran(0, NODES),
        "config": Ran(0, STRICT),
        "accounts": Ran(0, "nlp||normal\nvision||long,normal"),
        "qos": Ran(0, "normal\nlong\nurgent"),
        **answers,
    }
    checks = list(diagnosis.judge(asked, given))
    return {
        verdict: "\n".join(f"{one.what}: {one.todo}" for one in checks if one.verdict is verdict)
        for verdict in Verdict
    }


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"account": "nlp2"}, "account 'nlp2' is not there: did you mean 'nlp'? there are nlp, vision"),
        ({"account": "nlp", "qos": "long"}, "qos 'long' is not there: there are normal"),
        ({"qos": "urgent"}, "qos 'urgent' is not there: there are long, normal"),
        ({"partition": "gpu", "time": "12:00:00"}, "walltime 12:00:00 is longer than 'gpu' allows"),
        ({"time": "infinite"}, "walltime infinite is longer than 'batch' allows"),
        ({"partition": "gpu", "nodes": "3"}, "a job gets 2 at most in 'gpu'"),
        ({"gres": "gpu:1"}, "its nodes have none"),
        ({"partition": "gpu", "gres": "gpu:h100:8"}, "nodes there have 4 h100 or 8 a100"),
        ({"partition": "gpu", "gpus-per-node": "9"}, "9 GPUs a node are asked for"),
    ],
)  # fmt: skip
def test_what_a_strict_cluster_would_refuse(asked: dict[str, str], wrong: str) -> None:
    assert wrong in found(asked)[Verdict.WRONG]


@pytest.mark.parametrize(
    "asked",
    [
        {"account": "NLP", "qos": "normal"},
        {"account": "vision", "partition": "gpu", "time": "8:00:00", "nodes": "2"},
        {"account": "nlp", "partition": "batch,gpu", "gres": "gpu:8", "time": "1-0"},
        {"partition": "gpu", "gpus-per-node": "h100:4"},
        {"partition": "gpu", "gres": "nvme:1"},
    ],
)
def test_what_a_strict_cluster_would_take(asked: dict[str, str]) -> None:
    assert found(asked)[Verdict.WRONG] == ""


def test_what_the_accounting_tells() -> None:
    none = found({}, accounts=Ran(0, ""))
    assert "Slurm knows no account of yours" in none[Verdict.WRONG]
    closed = found({"account": "audio", "partition": "gpu"}, accounts=Ran(0, "audio||normal"))
    assert "partition 'gpu' does not take 'audio': it takes nlp, vision" in closed[Verdict.WRONG]
    off = "You are not running a supported accounting_storage plugin"
    without = found({"account": "x"}, accounts=Ran(1, off), config=Ran(0, ""))
    assert without[Verdict.WRONG] == ""
    assert off in without[Verdict.UNSURE]


def test_slurm_that_does_not_answer() -> None:
    said = "slurm_load_partitions error: Unable to contact slurm controller (connect failure)"
    down = found({"partition": "batch"}, partitions=Ran(1, said))
    assert "Unable to contact slurm controller" in down[Verdict.WRONG]
    assert "no answer in 20 s" in found({}, partitions=Ran(124, ""))[Verdict.WRONG]


def test_a_partition_that_is_down() -> None:
    assert "partition 'old' is DOWN" in found({"partition": "old"})[Verdict.UNSURE]


def test_options_are_read_from_the_scripts(tmp_path: Path) -> None:
    for task, more in (("one", ""), ("two", ""), ("three", "#SBATCH --partition=b\n")):
        (tmp_path / task).mkdir()
        (tmp_path / task / f"sbatch_{task}.sh").write_text(
            f"#!/usr/bin/env bash\n#SBATCH --job-name={task}\n#SBATCH --partition=a\n{more}"
            '#SBATCH --comment="two \\"words\\""\n#SBATCH --no-requeue\ntrue\n'
        )
    common = {"comment": 'two "words"', "no-requeue": ""}
    asked = list(diagnosis.asked_by(tmp_path))
    assert sorted(one["partition"] for one in asked) == ["a", "b"]
    assert all(one == {**common, "partition": one["partition"]} for one in asked)


def test_containers_here(
    doctor: Callable[..., Told],
    docker: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in docker.env.items():
        monkeypatch.setenv(name, value)
    write_config(tmp_path, docker.image, type="local", engine="docker", output_dir="results")
    good = doctor("suite.yaml")
    assert (good.code, good.all("wrong"), good.all("unsure")) == (0, "", "")
    assert f"image {docker.image} is there" in good.all("ok")
    assert not (tmp_path / "results").exists()

    write_config(tmp_path, "evalc-test:2", type="local", engine="docker", output_dir="results")
    absent = doctor("suite.yaml")
    assert absent.code == 0
    assert "image evalc-test:2 is not here yet: it is pulled at the first run" in absent.all(
        "unsure"
    )

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    down = doctor("suite.yaml")
    assert down.code == 1
    assert "docker does not answer" in down.all("wrong")
    assert "image" not in "".join(one["what"] for one in down.checks)


def test_this_machine(
    doctor: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ssh").write_text("")
    (tmp_path / "ssh").chmod(0o755)
    bare = doctor()
    assert bare.code == 0
    assert bare.all("absent").split() == [
        word for name in ("docker", "podman", "sbatch") for word in (name, "is", "not", "here:")
    ]
    assert "ssh is here" in bare.all("ok")
    assert not (tmp_path / "state").exists()

    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "runs.sqlite").write_text("no database at all, but rather a text")
    assert doctor().code == 1
    monkeypatch.setenv("EVALC_HOME", str(tmp_path / "ssh" / "below"))
    assert f"{tmp_path / 'ssh'} can't be written" in doctor().all("wrong")


def test_text_for_people(
    doctor: Callable[..., Told], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del doctor
    write_config(tmp_path, type="local", engine="none", output_dir="/proc/evalc")
    assert main(["doctor", "suite.yaml"]) == 1
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "ok    jobs run on this machine"
    assert any(line.startswith("WRONG output_dir /proc/evalc can't be written") for line in others)
    assert any(
        line.startswith("WRONG only 0.00 GB are free in /proc: make room") for line in others
    )


@pytest.mark.parametrize("arguments", [["--host", "somewhere"], ["nothing.yaml"], ["."]])
def test_wrong_usage(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")
