"""A matrix whose cells have servers of their own: one after the other, on one port."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from backends.local.lab import on_the_host
from waiting import wait_for

if TYPE_CHECKING:
    from backends.local.lab import Bundle, Lab

CELLS = ("one", "two")


def matrix(lab: Lab, one: str = "", *tasks: dict[str, object], **task: object) -> Bundle:
    """Two cells, whose servers are called after them, with two tasks each."""
    model = [
        {"name": "one", "deployment": lab.server(one, served_model_name="first")},
        {"name": "two", "deployment": lab.server(served_model_name="second")},
    ]
    who = lab.command('printf %s "$MODEL_ID" >who', "beta")
    return lab.bundle(
        *(tasks or (lab.harness("alpha", **task), who)),
        matrix={"model": model},
        deployment={"type": "generic"},
        execution={"auto_export": {"destinations": ["local"]}},
        export={"local": {"output_dir": str(lab.folder / "out")}},
    )


@on_the_host
def test_each_cell_has_its_own_server(lab: Lab) -> None:
    bundle = matrix(lab)
    ran = bundle.run()
    # What they came to is exported together.
    assert ran.said.count("exported to local") == 1, ran.said
    exported = (lab.folder / "out").rglob("results.yml")
    assert {path.parts[-3] for path in exported} >= {"one.alpha", "two.alpha"}
    assert (ran.code, lab.starts(), ran.raw) == (0, 2, []), ran.said
    for cell, model in zip(CELLS, ("first", "second"), strict=True):
        assert bundle.exit(f"{cell}.alpha") == (0, "")
        assert bundle.text(f"{cell}.beta", "artifacts", "who") == model
        assert "POST" in bundle.text("logs", f"server_{cell}.model_stdout.log")
    # What is finished needs no server; one cell alone, and one task alone, need one.
    again = bundle.run()
    assert (again.code, lab.starts()) == (0, 2), again.said
    assert bundle.run("run_all.sh", "--only", "two.beta", "--force").code == 0
    assert bundle.run("one.beta/run.sh", "--force").code == 0
    assert lab.starts() == 4


@on_the_host
def test_a_cell_whose_server_fails_does_not_keep_the_others_from_running(lab: Lab) -> None:
    bundle = matrix(lab, "--die-after 0")
    ran = bundle.run()
    assert ran.code == 69, ran.said
    code, reason = bundle.exit("one.alpha")
    assert (code, "'one.model' died" in reason) == (69, True), reason
    assert [bundle.exit(f"two.{task}") for task in ("alpha", "beta")] == [(0, "")] * 2
    assert re.search(r"one\.beta +failed \(69\) the server 'one\.model' died", ran.said), ran.said


@on_the_host
def test_a_signal_ends_all_cells(lab: Lab) -> None:
    bundle = matrix(lab, params={"limit_samples": 2, "extra": {"sleep": 60}})
    running = bundle.start()
    wait_for(lambda: "running" in bundle.stages("one.alpha"))
    running.signal(signal.SIGTERM)
    ran = running.ends()
    assert (ran.code, lab.starts()) == (143, 1), ran.said
    assert bundle.exit("one.alpha")[0] == 143
    assert not bundle.path("two.alpha", "logs", "stage.exit").exists()


@on_the_host
def test_run_all_alone_is_killed_in_the_second_cell_and_run_again(lab: Lab) -> None:
    """The task that was at work goes on with its cell's server; the first cell is not begun anew."""
    text = f"""
        echo "$MODEL_ID" >>"{lab.shared}/begun"
        [ "$MODEL_ID" = first ] || until [ -e "{lab.shared}/go" ]; do sleep 0.1; done
    """
    bundle = matrix(lab, "", lab.command(text))
    running = bundle.start()
    begun = lab.shared / "begun"
    wait_for(lambda: begun.exists() and "second" in begun.read_text())
    running.signal(signal.SIGKILL)
    assert running.ends().code == -9
    again = bundle.start()
    again.says("two.alpha runs already")
    (lab.shared / "go").touch()
    ran = again.ends()
    assert (ran.code, lab.starts()) == (0, 2), ran.said
    assert begun.read_text() == "first\nsecond\n"
    assert bundle.exit("two.alpha") == (0, "")
