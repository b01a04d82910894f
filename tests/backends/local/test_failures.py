"""Tasks that fail: the exit code, the reason in one line, and what becomes of the others."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from backends.local.lab import Lab, Outcome, in_containers, on_the_host
from waiting import wait_for

# A registry that nobody runs: the connection is refused at once.
MISSING = "127.0.0.1:1/no/such:image"


def last_line(ran: Outcome) -> str:
    return ran.said.splitlines()[-1]


def path_without(lab: Lab, *names: str) -> str:
    """A PATH with all commands of this one but some."""
    folder = lab.folder / ("no " + " ".join(names))
    folder.mkdir()
    for place in reversed(lab.path.split(":")):
        if Path(place).is_dir():
            for program in Path(place).iterdir():
                link = folder / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    for name in names:
        (folder / name).unlink()
    return str(folder)


def test_a_harness_fails_and_the_others_run(lab: Lab) -> None:
    bundle = lab.bundle(
        lab.harness(params={"extra": {"exit_code": 7}}),
        lab.harness("beta", params={"extra": {"no_results": True}}),
        lab.command("echo said by gamma; exit 3", "gamma"),
        lab.command("true", "delta"),
        deployment=lab.server(),
        execution={"mode": "parallel"},
    )
    ran = bundle.run()
    assert ran.code == 1
    exits = {task: bundle.exit(task) for task in ("alpha", "beta", "gamma", "delta")}
    assert exits == {
        "alpha": (7, "the harness failed"),
        "beta": (74, "the harness ended with 0 but left no results.yml"),
        "gamma": (3, "the harness failed"),
        "delta": (0, ""),
    }
    for line in ("alpha  failed (7) the harness failed", "delta  finished"):
        assert f"  {line}\n" in ran.said
    assert "    said by gamma\n" in ran.said, "the end of the log is not shown"

    assert bundle.run("gamma/run.sh").code == 3


def test_a_harness_is_killed(lab: Lab) -> None:
    bundle = lab.bundle(lab.harness(params={"limit_samples": 2, "extra": {"sleep": 60}}))
    running = bundle.start("alpha/run.sh")
    wait_for(lambda: "request 1 of 2" in bundle.text("alpha", "logs", "client_stdout.log"))
    os.kill(lab.find("run_eval"), signal.SIGKILL)
    ran = running.ends()
    assert (ran.code, ran.raw) == (137, [])
    assert bundle.exit() == (137, "the harness was killed by signal 9")


@on_the_host
@pytest.mark.parametrize("script", ["run_all.sh", "alpha/run.sh"])
@pytest.mark.parametrize(
    ("killed", "code", "why"),
    [
        ("step.sh", 137, "the harness was killed by signal 9"),
        ("serve.sh", 69, "the server 'model' died during the evaluation"),
    ],
)
def test_what_the_script_started_is_killed(
    lab: Lab, script: str, killed: str, code: int, why: str
) -> None:
    """The script says it in its own words, and bash not in others."""
    bundle = lab.bundle(lab.command("sleep 60"), deployment=lab.server())
    running = bundle.start(script)
    lab.find("sleep 60")
    os.kill(lab.find(killed), signal.SIGKILL)
    ran = running.ends()
    assert bundle.exit() == (code, why)
    assert f"failed with exit code {code}: {why}\n" in ran.said
    assert ran.raw == []


def test_a_harness_is_interrupted_by_others(lab: Lab) -> None:
    """It leaves a mark and exits with 0, which is no success."""
    bundle = lab.bundle(lab.harness(params={"limit_samples": 2, "extra": {"sleep": 60}}))
    running = bundle.start("alpha/run.sh")
    wait_for(lambda: "request 1 of 2" in bundle.text("alpha", "logs", "client_stdout.log"))
    os.kill(lab.find("run_eval"), signal.SIGTERM)
    assert running.ends().code == 143
    assert bundle.exit() == (143, "the harness was interrupted, and saved what it had")


@in_containers
def test_out_of_memory(lab: Lab) -> None:
    eat = "python3 -c 'bytearray(300 << 20)'"
    bundle = lab.bundle(
        # The harness's own code is 137, or what a shell makes of a killed child.
        lab.command(eat),
        lab.command(f"{eat}; exit 4", "beta"),
        execution={"memory_limit": "64m"},
    )
    ran = bundle.run()
    assert ran.code == 1
    why = "the container ran out of memory (execution.memory_limit)"
    assert (bundle.exit(), bundle.exit("beta")) == ((137, why), (4, why))


@in_containers
def test_a_missing_image(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true", container=MISSING), lab.command("true", "beta"))
    ran = bundle.run()
    assert (ran.code, bundle.exit("beta")[0]) == (1, 0)
    code, reason = bundle.exit()
    assert code == 125
    assert reason.startswith(f"{lab.engine} can't start the container: ")
    assert MISSING.partition("/")[0] in reason
    assert "connection refused" in reason
    assert ran.seconds < 30


@in_containers
def test_a_missing_image_of_a_server(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"), deployment=lab.server(image=MISSING))
    ran = bundle.run("alpha/run.sh")
    assert ran.code == 69
    code, reason = bundle.exit()
    assert code == 69
    assert reason.startswith(f"the server 'model' can't start: {lab.engine} says: ")
    assert "connection refused" in reason


@in_containers
def test_the_engine_is_not_installed(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"), deployment=lab.server())
    bare = {"PATH": path_without(lab, lab.engine)}
    for script in ("run_all.sh", "alpha/run.sh"):
        ran = bundle.run(script, env=bare)
        assert ran.code == 69
        assert f"{lab.engine} is not installed, or not in PATH" in last_line(ran)
    assert bundle.stages() == {}


@on_the_host
def test_curl_is_not_installed(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"), deployment=lab.server())
    bare = {"PATH": path_without(lab, "curl")}
    for script in ("run_all.sh", "alpha/run.sh"):
        ran = bundle.run(script, env=bare)
        assert (ran.code, lab.starts()) == (69, 0)
        assert "curl is not installed" in last_line(ran)
    # Who has no server needs none.
    assert lab.bundle(lab.command("true"), name="other").run(env=bare).code == 0


@on_the_host
def test_the_harness_is_not_installed(lab: Lab) -> None:
    bundle = lab.bundle(lab.harness(post_cmd='touch "$RESULTS_DIR/post"'))
    ran = bundle.run("alpha/run.sh", env={"PATH": path_without(lab, "nemo-evaluator")})
    assert ran.code == 127
    assert bundle.exit() == (127, "a command was not found")
    assert "neither nemo-evaluator nor eval-factory is in PATH" in ran.said
    assert bundle.path("alpha", "artifacts", "post").exists()


def test_a_missing_secret(lab: Lab) -> None:
    """Every missing one is named, and nothing has begun."""
    bundle = lab.bundle(
        lab.command("true", env_vars={"A": "host:FIRST_ONE", "B": "runtime:SECOND_ONE"}),
        lab.command("true", "beta", env_vars={"C": "host:THIRD_ONE"}),
        deployment=lab.server(),
    )
    some = {"SECOND_ONE": ""}  # set, if to nothing
    ran = bundle.run("alpha/run.sh", env=some)
    assert (ran.code, lab.starts(), bundle.stages()) == (78, 0, {})
    assert "not set in the environment: FIRST_ONE;" in last_line(ran)
    ran = bundle.run(env=some)
    assert (ran.code, lab.starts(), bundle.stages()) == (78, 0, {})
    assert "not set in the environment: FIRST_ONE THIRD_ONE;" in last_line(ran)
    assert bundle.run("beta/run.sh", env={"THIRD_ONE": "x"}).code == 0


@on_the_host
def test_a_secret_with_a_default(lab: Lab) -> None:
    bundle = lab.bundle(
        lab.command('echo "$A" >"$RESULTS_DIR/a"', env_vars={"A": "${oc.env:NOT_THERE,a $x b}"})
    )
    assert bundle.run().code == 0
    assert bundle.text("alpha", "artifacts", "a") == "a $x b\n"
    assert bundle.run("run_all.sh", "--force", env={"NOT_THERE": "yes"}).code == 0
    assert bundle.text("alpha", "artifacts", "a") == "yes\n"


@on_the_host
def test_the_script_itself_stops(lab: Lab) -> None:
    """Even a mistake in the scripts is told as it is."""
    bundle = lab.bundle(lab.command("true"), deployment=lab.server())
    library = bundle.path("lib", "work.sh")
    library.write_text(library.read_text().replace("evalc_judge\n", "no_such_function\n"))
    ran = bundle.run("alpha/run.sh")
    assert ran.code == 127
    assert bundle.exit() == (127, "the script stopped in the middle")


@on_the_host
@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_children_that_outlive_the_command(lab: Lab, trap: str) -> None:
    """What a command left running in its background ends with it."""
    bundle = lab.bundle(lab.command(f"({trap}sleep 600) & echo done"))
    assert bundle.run().code == 0
