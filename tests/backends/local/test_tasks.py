"""Tasks that go well: what they are given, and what they leave."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import yaml
from backends.local.lab import MODEL, Lab, in_containers, on_the_host
from waiting import wait_for

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_a_harness_is_given_the_contract(lab: Lab) -> None:
    data = lab.folder / "data set"
    data.mkdir()
    (data / "questions").write_text("2+2")
    task = lab.harness(
        params={"limit_samples": 2, "extra": {"note": 'it\'s "quoted" & $HOME'}},
        dataset_dir=str(data),
        pre_cmd="""\
            [ -n "$NOT_SET_ANYWHERE" ] || export FROM_PRE_CMD="a b"
            cat "$NEMO_EVALUATOR_DATASET_DIR/questions" >"$RESULTS_DIR/seen"
            env -0 >"$RESULTS_DIR/env"
        """,
        post_cmd='echo "$FROM_PRE_CMD" >"$RESULTS_DIR/post"',
    )
    bundle = lab.bundle(
        task,
        # docker accepts --gpus here; podman wants real ones.
        deployment=lab.server(gpus="all" if lab.engine == "docker" else "none"),
        target={"api_endpoint": {"api_key_name": "THE_KEY"}},
    )
    ran = bundle.run("alpha/run.sh", env={"THE_KEY": "sesame"})
    assert ran.code == 0, ran.said

    artifacts = bundle.path("alpha", "artifacts")
    results = artifacts if lab.engine == "none" else "/results"
    score = {"value": 1.0, "stats": {"count": 2}}
    found = yaml.safe_load((artifacts / "results.yml").read_text())
    assert found["results"]["tasks"]["ifeval"]["metrics"]["accuracy"]["scores"] == {
        "accuracy": score
    }
    url = f"http://127.0.0.1:{lab.port}/v1/chat/completions"
    # The harness leaves a copy of what it was given.
    assert yaml.safe_load((artifacts / "run_config.yml").read_text()) == {
        "config": {
            "output_dir": str(results),
            "type": "ifeval",
            "params": {"limit_samples": 2, "extra": {"note": 'it\'s "quoted" & $HOME'}},
        },
        "target": {
            "api_endpoint": {
                "url": url,
                "model_id": MODEL,
                "type": "chat",
                "api_key_name": "THE_KEY",
            }
        },
    }
    env = bundle.env()
    contract = {
        "RESULTS_DIR": str(results),
        "MODEL_URL": url,
        "MODEL_ID": MODEL,
        "ENDPOINT_TYPE": "chat",
        "API_KEY_NAME": "THE_KEY",
        "THE_KEY": "sesame",
        "LIMIT_SAMPLES": "2",
        "NEMO_EVALUATOR_DATASET_DIR": str(data) if lab.engine == "none" else "/datasets",
        "FROM_PRE_CMD": "a b",
    }
    assert contract.items() <= env.items()
    assert env["RUN_CONFIG"].endswith("run_config.yml")
    assert (artifacts / "seen").read_text() == "2+2"
    assert (artifacts / "post").read_text() == "a b\n"

    stages = bundle.stages()
    assert {name: stage.code for name, stage in stages.items()} == {
        "pre-start": None,
        "running": None,
        "exit": 0,
    }
    times = [stages[name].time for name in ("pre-start", "running", "exit")]
    assert times == sorted(times)
    assert all(TIME.fullmatch(time) for time in times)
    assert "POST /v1/chat/completions" in bundle.text("alpha", "logs", "server_model_stdout.log")
    assert lab.starts() == 1

    again = bundle.run("alpha/run.sh", env={"THE_KEY": "sesame"})
    assert (again.code, lab.starts()) == (0, 1)
    assert "already finished" in again.said


def test_commands_of_the_users_own(lab: Lab) -> None:
    """One server for both; files travel along; a command's text is bash."""
    (lab.folder / "tools").mkdir()
    (lab.folder / "tools" / "ask.py").write_text(
        "import json, os, urllib.request\n"
        'ask = {"model": os.environ["MODEL_ID"], "messages": [{"content": "say yes"}]}\n'
        'with urllib.request.urlopen(os.environ["MODEL_URL"], json.dumps(ask).encode()) as said:\n'
        '    print(json.load(said)["choices"][0]["message"]["content"])\n'
    )
    ask = 'python3 "$FILES_DIR/ask.py" >"$RESULTS_DIR/answer"; env -0 >"$RESULTS_DIR/env"'
    bundle = lab.bundle(
        lab.command(
            ask, files=["tools/ask.py"], env_vars={"GREETING": "lit:$(id) 'x' \"y\" \\ \n z"}
        ),
        # A task may have the name of the server.
        lab.command(f"FILES_DIR+=/tools\n{ask}", "model", files=["tools"]),
        deployment=lab.server(
            env_vars={"TUNING": "lit:a b"},
            pre_cmd=f"""\
                echo started >>{lab.shared}/starts
                env -0 >{lab.shared}/env
            """,
        ),
    )
    ran = bundle.run()
    assert ran.code == 0, ran.said
    assert lab.starts() == 1
    for task in ("alpha", "model"):
        assert bundle.text(task, "artifacts", "answer") == "yes\n"
        assert bundle.exit(task) == (0, "")
        assert f"{task}  finished" in re.sub("  +", "  ", ran.said)
    assert bundle.env()["GREETING"] == "$(id) 'x' \"y\" \\ \n z"
    assert not {"LIMIT_SAMPLES", "EVALC_SERVERS"} & bundle.env().keys()
    text = (lab.shared / "env").read_text()
    served = dict(pair.split("=", 1) for pair in text.split("\0") if pair)
    assert {"PORT": str(lab.port), "MODEL_ID": MODEL, "TUNING": "a b"}.items() <= served.items()


@on_the_host
def test_post_cmd_runs_whatever_happened(lab: Lab) -> None:
    after = 'echo "after" >>"$RESULTS_DIR/post"'
    bundle = lab.bundle(
        lab.command("exit 7", "fails", post_cmd=after),
        # The exit code is the command's.
        lab.command("true", "exits", post_cmd=f"{after}\nexit 3"),
        lab.command("exit 8", "both", post_cmd=f"set -e\n{after}\nfalse"),
        lab.command("touch $RESULTS_DIR/ran", "early", pre_cmd="exit 9", post_cmd=after),
        lab.command("touch $RESULTS_DIR/ran", "strict", pre_cmd="set -e\nfalse\ntrue"),
        lab.command("touch $RESULTS_DIR/ran", "last", pre_cmd="false", post_cmd=after),
        # What pre_cmd sets for itself is not for post_cmd.
        lab.command("exit 6", "options", pre_cmd="set -eu", post_cmd=f"false; echo $NONE; {after}"),
        lab.command("true", "unset", pre_cmd="set -u; exit 5", post_cmd=f"echo $NONE; {after}"),
    )
    ran = bundle.run()
    assert ran.code == 1
    codes = {"fails": 7, "exits": 0, "both": 8, "early": 9, "strict": 1, "last": 1}
    codes |= {"options": 6, "unset": 5}
    assert {task: bundle.exit(task)[0] for task in codes} == codes
    for task in codes:
        assert bundle.text(task, "artifacts", "post") == ("" if task == "strict" else "after\n")
        assert not bundle.path(task, "artifacts", "ran").exists()


@in_containers
def test_post_cmd_runs_after_failure_in_a_container(lab: Lab) -> None:
    bundle = lab.bundle(
        lab.command("exit 7", post_cmd='echo "$X" >"$RESULTS_DIR/post"; exit 3', pre_cmd="X=1")
    )
    assert bundle.run("alpha/run.sh").code == 7
    assert bundle.text("alpha", "artifacts", "post") == "1\n"


@in_containers
def test_mounts_and_limits(lab: Lab) -> None:
    """What the engine was asked for, as it tells itself, and as the container sees it."""
    for name in ("plain", "read only", "relative"):
        (lab.folder / name).mkdir()
        (lab.folder / name / "file").write_text(name)
    mounts = {
        str(lab.folder / "plain"): "/plain",
        str(lab.folder / "read only"): "/read_only:ro",
        "relative": "/relative",
        str(lab.shared): str(lab.shared),
    }
    command = f"""
        cat /plain/file /read_only/file /relative/file /questions/file >"$RESULTS_DIR/seen"
        touch /plain/new && ! touch /read_only/new && ! touch /questions/new || exit 9
        until [ -e {lab.shared}/go ]; do sleep 0.05; done
    """
    bundle = lab.bundle(
        lab.command(
            command, dataset_dir=str(lab.folder / "plain"), dataset_mount_path="/questions"
        ),
        execution={
            "mounts": {"evaluation": mounts},
            "memory_limit": "200m",
            "cpus": 0.5,
            "shm_size": "8m",
            "extra_docker_args": "--label 'team=model quality' --env MORE='$(id) x'",
        },
    )
    running = bundle.start("alpha/run.sh", cwd=None)
    wait_for(lambda: bundle.path("alpha", "artifacts", "seen").exists())
    assert lab.box is not None
    (name,) = lab.containers()
    (told,) = json.loads(lab.box("inspect", name).stdout)
    (lab.shared / "go").touch()
    ran = running.ends()
    assert ran.code == 0, ran.said + bundle.text("alpha", "logs", "client_stdout.log")
    host: dict[str, Any] = told["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["ShmSize"]) == (200 << 20, 5 * 10**8, 8 << 20)
    assert told["Config"]["Labels"]["team"] == "model quality"
    assert "MORE=$(id) x" in told["Config"]["Env"]
    assert bundle.text("alpha", "artifacts", "seen") == "plainread onlyrelativeplain"


def test_relative_paths(lab: Lab) -> None:
    """They count from where a script is started; where they are not, nothing is started or made."""
    place, other = lab.folder / "place", lab.folder / "other"
    for name in ("set", "cache", "models"):
        (place / name).mkdir(parents=True)
        (place / name / "file").write_text(name)
    other.mkdir()
    mounts = {"evaluation": {"./cache": "/cache", str(lab.shared): str(lab.shared)}}
    mounts["deployment"] = {"models": "/models", str(lab.shared): str(lab.shared)}
    see = 'cat "$NEMO_EVALUATOR_DATASET_DIR/file" >"$RESULTS_DIR/seen"'
    bundle = lab.bundle(
        lab.command(see),
        lab.command(see, "beta", dataset_dir="set"),
        deployment=lab.server(),
        execution={"mounts": mounts} if lab.box else {},
    )
    for script in ("run_all.sh", "beta/run.sh"):
        ran = lab.start(["bash", str(bundle.path(script))], cwd=other).ends()
        first = (
            "'models' (execution.mounts.deployment)"
            if lab.box
            else "'set' (evaluation.tasks[1].dataset_dir)"
        )
        assert (ran.code, len(ran.said.splitlines())) == (78, 1)
        advice = "run this from the folder that has it, or give an absolute path"
        assert f"there is no {first} in {other}: {advice}\n" in ran.said
    assert (list(other.iterdir()), lab.starts(), bundle.stages()) == ([], 0, {})
    ran = lab.start(["bash", str(bundle.path("run_all.sh")), "--only", "beta"], cwd=place).ends()
    assert ran.code == 0, ran.said
    assert bundle.text("beta", "artifacts", "seen") == "set"
    assert "relative" in bundle.text("README.md")


@in_containers
def test_a_value_that_looks_like_an_option(lab: Lab) -> None:
    """It is one to neither the engine nor evalc, which refuses options of that name."""
    args = ["--label", "--rm", "-l", "-dit", "-eA=-d", "-w/tmp", "--env=B=--name", "--init"]
    args += ["--hostname=other", "--network", "bridge"]
    bundle = lab.bundle(
        lab.command('echo "$A $B $(cat /proc/sys/kernel/hostname)" >"$RESULTS_DIR/seen"; exit 7'),
        execution={"docker_args": args},
    )
    assert bundle.run("alpha/run.sh").code == 7
    assert bundle.text("alpha", "artifacts", "seen") == "-d --name other\n"


@in_containers
def test_results_belong_to_whoever_owns_the_folder(lab: Lab) -> None:
    bundle = lab.bundle(
        lab.command('mkdir "$RESULTS_DIR/a"; touch "$RESULTS_DIR/a/b"'),
        # The image lacks it.
        execution={"mounts": {"evaluation": {"/usr/bin/chown": "/usr/bin/chown:ro"}}},
    )
    artifacts = bundle.path("alpha", "artifacts")
    artifacts.mkdir()
    os.chown(artifacts, 4321, 4321)
    assert bundle.run("alpha/run.sh").code == 0
    assert (artifacts / "a" / "b").stat().st_uid == 4321
