"""What is put into run_config.yml at run time arrives whole, whatever it is."""

from __future__ import annotations

import random

import pytest
import yaml
from backends.local.lab import Lab, on_the_host

from evalc.errors import ConfigError

HOSTILE = {
    "QUOTES": 'it\'s "quoted" \\ \\n \\\\" back\\',
    "LINES": "\n first\r\n second\n\n\tthird\n",
    "SHELL": "$(touch owned) `touch owned` ${HOME} $HOME ~ * ; | & && > x",
    "MARKS": "@@{LINES}@@ @@{ @@{NOT_THERE}@@ }@@ @@{QUOTES}@@",
    "SED": "& \\0 \\1 / | %s %n",
    "YAML": "a: b # c\n- d\n? !x &y *z {e: [f]}",
    "UNICODE": "ü é 日本 😀 \u0085 \u2028 \u2029 \ufeff \u200b \ud7ff \ue000",
    "CONTROL": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "EMPTY": "",
    "SPACES": "  around  ",
}


def test_hostile_values(lab: Lab) -> None:
    """In the middle of text and alone; the output folder too, on the host."""
    extra = {name.lower(): f"${{oc.env:{name}}}" for name in HOSTILE}
    extra |= {f"{name.lower()}_in_text": f"<${{oc.env:{name}}}>" for name in HOSTILE}
    bundle = lab.bundle(
        lab.harness(params={"extra": {**extra, "list": ["${oc.env:SHELL}", 1]}}),
        out=lab.folder / "a \"dir\" \\ @@{MARKS}@@ ü & 'x'",
    )
    ran = bundle.run("alpha/run.sh", env=HOSTILE)
    assert ran.code == 0, ran.said
    given = yaml.safe_load(bundle.path("alpha", "artifacts", "run_config.yml").read_bytes())
    want: dict[str, object] = {name.lower(): value for name, value in HOSTILE.items()}
    want |= {f"{name.lower()}_in_text": f"<{value}>" for name, value in HOSTILE.items()}
    assert given["config"]["params"]["extra"] == {**want, "list": [HOSTILE["SHELL"], 1]}
    artifacts = bundle.path("alpha", "artifacts")
    results = str(artifacts) if lab.engine == "none" else "/results"
    assert given["config"]["output_dir"] == results
    assert not list(lab.folder.rglob("owned"))


@on_the_host
def test_any_text_in_any_locale(lab: Lab) -> None:
    """Random text, as many kinds of characters as there are."""
    chance = random.Random(20)
    text = "".join(
        chr(chance.choice([chance.randrange(1, 0x100), chance.randrange(0xE000, 0x110000)]))
        for _ in range(2000)
    )
    bundle = lab.bundle(lab.harness(params={"extra": {"text": "${oc.env:TEXT}"}}))
    for locale in ("C", "C.UTF-8"):
        ran = bundle.run("alpha/run.sh", "--force", env={"TEXT": text, "LC_ALL": locale})
        assert ran.code == 0, ran.said
        given = yaml.safe_load(bundle.path("alpha", "artifacts", "run_config.yml").read_bytes())
        assert given["config"]["params"]["extra"]["text"] == text


@on_the_host
def test_only_what_was_compiled_is_put_in(lab: Lab) -> None:
    """What else looks like a mark, in a file edited by hand, is text, and never executed."""
    name = "@@{x[$(touch owned)]}@@"
    with pytest.raises(ConfigError, match="marks values"):
        lab.bundle(lab.harness(params={"extra": {name: "${oc.env:HOME}"}}))
    bundle = lab.bundle(lab.harness(params={"extra": {"text": "${oc.env:HOME}"}}))
    file = bundle.path("alpha", "run_config.yml")
    added = f"metadata: '{name} @@{{HOME LANG}}@@ @@{{}}@@'\n"
    file.write_text(file.read_text() + added)
    assert bundle.run().code == 0
    assert bundle.text("alpha", "artifacts", "run_config.yml").endswith(added)
    assert not list(lab.folder.rglob("owned"))


@on_the_host
def test_defaults_and_missing_values(lab: Lab) -> None:
    bundle = lab.bundle(
        lab.harness(params={"extra": {"a": "${oc.env:SOME,a $b}", "b": "${oc.env:MUST}"}})
    )
    ran = bundle.run()
    assert ran.code == 78
    assert "not set in the environment: MUST;" in ran.said
    assert bundle.run(env={"MUST": "m"}).code == 0
    given = yaml.safe_load(bundle.text("alpha", "artifacts", "run_config.yml"))
    assert given["config"]["params"]["extra"] == {"a": "a $b", "b": "m"}
