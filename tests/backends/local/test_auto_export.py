"""Results that run_all.sh exports when all has ended: with coreutils alone, and by evalc."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backends.local.lab import Lab, on_the_host
from waiting import wait_for

from evalc.errors import ConfigError
from evalc.export.destinations.local import LocalExporter
from evalc.export.destinations.settings import complete
from evalc.export.reading import read_run

if TYPE_CHECKING:
    from backends.local.lab import Bundle

# A task of one score, with all that a harness may leave beside it.
GOOD = """\
cd "$RESULTS_DIR"
mkdir -p cache lm/model response_stats_cache 'a b'
echo no >cache/response; echo no >response_stats_cache/x
for name in eval_factory_metrics.json omni-info.json 'a b/ü.txt'; do echo {} >"$name"; done
cat >results.yml <<'YML'
results:
  tasks:
    good:
      metrics:
        acc:
          scores:
            acc: {stats: {count: 4}, value: 0.5}
YML
for time in 2025-01-02T03-04-05 2025-11-02T10-22-31; do
  echo '{"results": {"good": {"acc,none": 0.5}}}' >"lm/model/results_$time.json"
done
"""
# What stands in for evalc: it says how it was called, and does what EVALC_DOES says.
EVALC = """#!/bin/sh
echo "$@" >>"{folder}/calls"
env >"{folder}/env"
{does}
"""


def evalc(lab: Lab, does: str = "") -> str:
    """A PATH in which evalc is a stand-in."""
    folder = lab.folder / "with-evalc"
    folder.mkdir(exist_ok=True)
    (folder / "evalc").write_text(EVALC.format(folder=folder, does=does))
    (folder / "evalc").chmod(0o755)
    return f"{folder}:{without(lab)}"


def without(lab: Lab) -> str:
    """A PATH in which no evalc is, as on a machine that has none."""
    return ":".join(part for part in lab.path.split(":") if not Path(part, "evalc").exists())


def calls(lab: Lab) -> list[str]:
    file = lab.folder / "with-evalc" / "calls"
    return file.read_text().splitlines() if file.exists() else []


def exporting(lab: Lab, *tasks: dict[str, Any], to: str = "local", **blocks: Any) -> Bundle:
    keys = {"destinations": to.split(","), **blocks.pop("auto_export", {})}
    tasks = tasks or (lab.command(GOOD, "good"), lab.command("exit 3", "bad"))
    blocks["export"] = {
        "mlflow": {"tracking_uri": "http://127.0.0.1:9"},
        "wandb": {"project": "p"},
        **blocks.get("export", {}),
    }
    return lab.bundle(*tasks, execution={"auto_export": keys}, **blocks)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@on_the_host
def test_what_is_finished_is_copied_and_the_exit_code_stays(lab: Lab) -> None:
    bundle = exporting(lab, export={"local": {"output_dir": "out"}})
    path = {"PATH": without(lab)}
    ran = bundle.run(env=path)
    assert ran.code == 1
    run = read_run(bundle.folder).id
    assert f"copied 4 file(s) to out/{run}, 0 were there" in ran.said
    assert "bad   failed (3)" in ran.said
    assert set(files(lab.folder / "out")) == {
        f"{run}/good/artifacts/{name}"
        for name in (
            "results.yml",
            "eval_factory_metrics.json",
            "omni-info.json",
            "lm/model/results_2025-11-02T10-22-31.json",
        )
    }
    assert bundle.text("logs", "stage.export").split(maxsplit=1)[1] == "0 exported to local\n"
    # Nothing has changed, so there is nothing to do.
    again = bundle.run("run_all.sh", "--only", "good", env=path)
    assert again.code == 0
    assert "copied" not in again.said
    # Asked for by hand, it copies what is not there.
    (lab.folder / "out" / run / "good/artifacts/results.yml").unlink()
    assert "copied 1 file(s)" in bundle.run("export.sh", env=path).said


@on_the_host
@pytest.mark.parametrize(
    "settings",
    [
        {"copy_logs": True},
        {"only_required": False},
    ],
    ids=str,
)
def test_the_same_files_are_copied_as_by_evalc(lab: Lab, settings: dict[str, Any]) -> None:
    bundle = exporting(lab, export={"local": {"output_dir": "out", **settings}})
    bundle.run(env={"PATH": without(lab)})
    exporter = LocalExporter()
    told = complete(exporter, [{**settings, "output_dir": str(lab.folder / "by evalc")}])
    assert list(exporter.export([read_run(bundle.folder)], told))
    expected = files(lab.folder / "by evalc")
    expected.pop("processed_results.json")
    assert files(lab.folder / "out") == expected
    assert expected


@on_the_host
def test_a_destination_that_fails_is_told_and_loses_no_other(lab: Lab) -> None:
    path = evalc(lab, 'case $* in *mlflow) echo "error: mlflow: it is down" >&2; exit 4 ;; esac')
    bundle = exporting(lab, lab.command(GOOD, "good"), to="mlflow,wandb")
    ran = bundle.run(env={"PATH": path})
    assert ran.code == 0
    assert "not exported: mlflow: it is down" in ran.said
    assert calls(lab) == [f"export {bundle.folder} --dest {name}" for name in ("mlflow", "wandb")]
    assert " 1 mlflow: it is down" in bundle.text("logs", "stage.export")
    assert "error: mlflow: it is down" in bundle.text("logs", "export.log")
    # Run again, there is nothing to evaluate, and the export is tried anew.
    again = bundle.run(env={"PATH": evalc(lab)})
    assert again.code == 0
    assert "exported to mlflow, wandb" in again.said
    assert " 0 exported to mlflow, wandb" in bundle.text("logs", "stage.export")
    # Then there is nothing left to do.
    bundle.run(env={"PATH": path})
    assert len(calls(lab)) == 4


@on_the_host
def test_without_evalc_it_says_what_is_needed(lab: Lab) -> None:
    bundle = exporting(lab, to="mlflow")
    ran = bundle.run(env={"PATH": without(lab)})
    assert ran.code == 1
    assert "not exported: mlflow: evalc is not in PATH here" in ran.said
    assert "to export to mlflow: evalc in PATH on this machine" in bundle.text("README.md")


@on_the_host
def test_what_installs_evalc_is_run_and_secrets_are_given(lab: Lab) -> None:
    path = evalc(lab)
    bundle = exporting(
        lab,
        lab.command(GOOD, "good"),
        to="wandb",
        auto_export={"launcher_install_cmd": f'export PATH="{path.partition(":")[0]}:$PATH"'},
        export={"env_vars": {"WANDB_API_KEY": "host:MY_KEY", "MODE": "lit:a b"}},
    )
    missing = bundle.run(env={"PATH": without(lab)})
    assert missing.code == 78
    assert "MY_KEY" in missing.said
    ran = bundle.run(env={"PATH": without(lab), "MY_KEY": "s3cret"}, options=("-x",))
    assert ran.code == 0, ran.said
    env = (lab.folder / "with-evalc" / "env").read_text()
    assert "WANDB_API_KEY=s3cret\n" in env
    assert "MODE=a b\n" in env
    assert "s3cret" not in ran.said
    assert not any(b"s3cret" in data for data in files(bundle.folder).values())


@on_the_host
@pytest.mark.parametrize("who", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_exports(lab: Lab, who: signal.Signals) -> None:
    bundle = exporting(lab, lab.command(GOOD, "good"), to="wandb")
    running = bundle.start(env={"PATH": evalc(lab, "exec sleep 1000")})
    wait_for(lambda: calls(lab))
    running.signal(who, group=who is signal.SIGINT)
    ended = running.ends()
    # All tasks are finished; that is what the code tells.
    assert ended.code == 0, ended.said
    assert " 1" in bundle.text("logs", "stage.export")
    assert "interrupted by SIGTERM" in bundle.text("logs", "stage.export")
    assert not list(bundle.path("logs").glob("*.pid")) + list(bundle.path("logs").glob("*lock"))
    lab.nothing_is_left()


@on_the_host
def test_an_interrupted_run_exports_nothing(lab: Lab) -> None:
    tasks = (lab.command(GOOD, "good"), lab.command("sleep 1000", "slow"))
    bundle = exporting(lab, *tasks, to="wandb")
    running = bundle.start(env={"PATH": evalc(lab)})
    running.says("[slow] evaluating")
    running.signal(signal.SIGINT, group=True)
    assert running.ends().code == 130
    assert calls(lab) == []


@on_the_host
def test_evalc_itself_makes_the_table(lab: Lab) -> None:
    bundle = exporting(lab, lab.command(GOOD, "good"), export={"local": {"output_dir": "out"}})
    ran = bundle.run(env={"PATH": f"{Path(sys.executable).parent}:{lab.path}"})
    assert ran.code == 0
    assert (lab.folder / "out" / "processed_results.json").exists(), ran.said
    # Without it, the same files are there already.
    assert "copied 0 file(s)" in bundle.run("export.sh", env={"PATH": without(lab)}).said


@on_the_host
def test_a_folder_that_can_not_be_written_is_told(lab: Lab) -> None:
    (lab.folder / "out").write_text("a file")
    bundle = exporting(lab, lab.command(GOOD, "good"), export={"local": {"output_dir": "out/x"}})
    ran = bundle.run(env={"PATH": without(lab)})
    assert ran.code == 0
    assert "not exported: local: can't write in out/x" in ran.said


@on_the_host
def test_no_value_is_executed(lab: Lab) -> None:
    hostile = "$(touch pwned) `touch pwned` ; touch pwned # 'it' \"is\" $HOME \\ ~ * ü"
    bundle = exporting(
        lab,
        lab.command(GOOD, "good"),
        to="wandb,local",
        export={
            "env_vars": {"HOSTILE": f"lit:{hostile}"},
            "local": {"output_dir": hostile, "copy_logs": True},
        },
    )
    ran = bundle.run(env={"PATH": evalc(lab, "exit 1")})
    assert ran.code == 0
    assert f"HOSTILE={hostile}\n" in (lab.folder / "with-evalc" / "env").read_text()
    assert (lab.folder / hostile / read_run(bundle.folder).id / "good/artifacts").is_dir()
    assert not list(lab.folder.rglob("pwned"))
    for value in ("a\nb", "a\0b"):
        with pytest.raises(ConfigError) as caught:
            exporting(lab, lab.command("true"), export={"local": {"output_dir": value}})
        assert [problem.code for problem in caught.value.problems] == ["cannot-carry"]
