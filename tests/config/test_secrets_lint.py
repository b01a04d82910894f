"""What looks like a secret is found wherever it stands, and what does not is left alone."""

from __future__ import annotations

import pytest

from evalc.config.checking.secrets_lint import find_secrets, secret_kind
from evalc.errors import Problem, Source
from evalc.source import Mapping, Scalar, parse
from evalc.words import Literal, RuntimeEnv

# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "hf_" + "aB3" * 12: "a Hugging Face token",
    "nvapi-" + "aB3-_" * 12: "an NVIDIA API key",
    "sk-" + "aB3" * 16: "an API key of OpenAI's form",
    "sk-proj-" + "aB3_-" * 12: "an API key of OpenAI's form",
    "sk-ant-" + "aB3_-" * 12: "an API key of OpenAI's form",
    "ghp_" + "aB3" * 12: "a GitHub token",
    "ghs_" + "aB3" * 12: "a GitHub token",
    "github_pat_" + "aB3_" * 12: "a GitHub token",
    "glpat-" + "aB3-_" * 4: "a GitLab token",
    "AKIA" + "ABCD2345" * 2: "an AWS access key",
    "xoxb-" + "123-aBc" * 4: "a Slack token",
    "-----BEGIN " + "OPENSSH PRIVATE KEY-----": "a private key",
    "-----BEGIN " + "PRIVATE KEY-----": "a private key",
}
HEX = "0123456789abcdef" * 2 + "01234567"

INNOCENT = [
    "hf_model_handle",
    "hf_transfer",
    "meta-llama/Llama-3.1-8B-Instruct",
    "task-abcdefghijklmnopqrstuvwxyz0123",
    "sk-learn-evaluation-harness-with-a-long-name",
    "host:HF_TOKEN",
    "nvapi-key-name",
    "ghp_short",
    "AKIAshort",
    "github_pat_",
    "xoxb",
    "-----BEGIN PUBLIC KEY-----",
    HEX,
    "nvcr.io/nvidia/eval-factory/simple-evals@sha256:" + HEX,
]


def tree(text: str) -> Mapping:
    root = parse(Source("a.yaml", text))
    assert isinstance(root, Mapping)
    return root


def only(text: str) -> Problem:
    (problem,) = find_secrets(tree(text))
    return problem


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "text",
    [
        "evaluation:\n  env_vars:\n    A: '{}'",
        "evaluation:\n  env_vars:\n    A: 'lit:{}'",
        "evaluation:\n  tasks:\n    - 'export A={}; run'",
        "x-free:\n  a:\n    - ['{}']",
    ],
)
def test_a_secret_is_found_wherever_it_stands(secret: str, text: str) -> None:
    problem = only(text.format(secret))
    assert problem.code == "secret-in-config"
    assert problem.sensitive
    assert SECRETS[secret] in problem.message
    assert "host:NAME" in problem.help
    assert secret not in problem.message + problem.label + problem.help


def test_the_place_and_the_key_are_told() -> None:
    secret = next(iter(SECRETS))
    problem = only(f"evaluation:\n  tasks:\n    - env_vars: {{A: b, HF_TOKEN: lit:{secret}}}")
    assert str(problem.location) == "a.yaml:3:34"
    assert problem.message.startswith("evaluation.tasks[0].env_vars.HF_TOKEN holds")


def test_each_secret_is_a_problem() -> None:
    text = "\n".join(f"k{number}: '{secret}'" for number, secret in enumerate(SECRETS))
    assert len(find_secrets(tree(text + "\nz: plain"))) == len(SECRETS)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_starts_like_a_secret_is_left_alone(text: str) -> None:
    assert find_secrets(tree(f"a: '{text}'")) == []


@pytest.mark.parametrize("key", ["WANDB_API_KEY", "apikey", "token", "HF_TOKEN", "client_secret"])
def test_hexadecimal_digits_are_a_secret_under_a_key_that_says_so(key: str) -> None:
    assert only(f"env_vars: {{{key}: {HEX!r}}}").message.startswith(f"env_vars.{key} holds")
    assert find_secrets(tree(f"env_vars: {{{key}: 'host:{key}'}}")) == []
    assert find_secrets(tree(f"env_vars: {{{key}: '{HEX}0'}}")) == []


def test_the_known_part_of_a_run_time_text_is_looked_at() -> None:
    root = tree("a: b\nc: d")
    node = root.entries["a"]
    assert isinstance(node, Scalar)
    secret = next(iter(SECRETS))
    root.entries["a"] = node.replaced((RuntimeEnv("X"), Literal(f"/{secret}")))
    (problem,) = find_secrets(root)
    assert str(problem.location) == "a.yaml:1:4"


def test_numbers_and_nothing_are_no_secrets() -> None:
    assert find_secrets(tree("token: 1\napi_key:\npassword: true")) == []


@pytest.mark.parametrize("secret", SECRETS)
def test_a_line_can_be_judged_by_itself(secret: str) -> None:
    assert secret_kind(f"  A: 'lit:{secret}'  # mine") == SECRETS[secret]
    assert secret_kind("  A: host:A") == ""
