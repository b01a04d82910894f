"""The least that a compiler of configs to scripts can do: what evalc's speed is judged against.

    python benchmarks/floor.py CONFIG MODEL OUT

Compiles CONFIG, which `make_config.py` made, to OUT: the very bundle that evalc makes of it, file
by file and byte by byte, which `compile.py` asserts before it times anything. It parses, renders
and writes, with nothing else: no positions, composition, interpolation, schema, plan, catalogue,
quoting, digests or atomic replacement. It knows that file's form and nothing of any other's.

- Each task's `run.sh` and `run_config.yml` are rendered from the plain templates in `floor/`,
  written by hand after what evalc writes. Their values are those of the parsed config.
- What a config doesn't tell (a task's harness, image and digest) is in `MODEL/tasks.json`, which
  `compile.py` makes from evalc's bundle, outside the measured time.
- The files of the bundle's top (plan, manifest, `lib/`, `run_all.sh`) are in `MODEL/top`, made in
  the same way. They are read and written, so that to serialise them costs evalc alone.
- Python's cyclic garbage collector is off, which helps a process that only allocates.
"""

# ruff: noqa: PTH102, PTH123 - pathlib is slower

from __future__ import annotations

import gc
import json
import os
import sys

import jinja2
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - see above


def read(path: str) -> bytes:
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Writes a new file, a shell script as an executable."""
    mode = 0o755 if path.endswith(".sh") else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.write(descriptor, data)
    os.close(descriptor)


def copy(source: str, target: str) -> None:
    """Writes the files of a folder, and of the folders in it, to a new one."""
    os.mkdir(target)
    for entry in os.scandir(source):
        if entry.is_dir():
            copy(entry.path, f"{target}/{entry.name}")
        else:
            write(f"{target}/{entry.name}", read(entry.path))


def main(config: str, model: str, out: str) -> None:
    """Compiles ``config`` to ``out``, which must not exist."""
    gc.disable()
    document = yaml.load(read(config), Loader=yaml.CSafeLoader)
    facts = json.loads(read(f"{model}/tasks.json"))
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(f"{HERE}/floor"),
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # quoting is evalc's work
    )
    script = jinja.get_template("run.sh.j2")
    run_config = jinja.get_template("run_config.yml.j2")

    copy(f"{model}/top", out)
    endpoint = document["target"]["api_endpoint"]
    common = document["evaluation"]
    common_params = common["nemo_evaluator_config"]["config"]["params"]
    for task in common["tasks"]:
        name = task.get("id") or task["name"]
        env = {**common["env_vars"], **task["env_vars"]}
        secrets = {key: value[5:] for key, value in env.items() if value.startswith("host:")}
        own = task["nemo_evaluator_config"]
        values = {
            "version": facts["version"],
            "config": facts["config"],
            "id": name,
            "fact": facts["tasks"][name],
            "endpoint": endpoint,
            "env": env,
            "secrets": secrets,
            "needs": sorted({*secrets.values(), endpoint["api_key_name"]}),
            "params": {**common_params, **own["config"]["params"]},
            "adapter": own["target"]["api_endpoint"]["adapter_config"],
        }
        os.mkdir(f"{out}/{name}")
        write(f"{out}/{name}/run.sh", script.render(values).encode())
        write(f"{out}/{name}/run_config.yml", run_config.render(values).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
