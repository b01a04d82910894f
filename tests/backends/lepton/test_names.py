"""Names: the client takes each, none is there twice, and they tell what they are of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalc.backends.lepton import names


@given(st.text(max_size=60), st.text(alphabet="0123456789abcdef", min_size=16, max_size=16))
def test_every_name_is_one_that_the_client_takes(text: str, digest: str) -> None:
    from leptonai.api.v2.job_validation import validate_job_name

    whole = f"{names.name(names.slug(text), digest)}-k3fw8t2q"
    validate_job_name(whole)
    assert len(whole) <= names.MAX_NAME


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("lm-evaluation-harness.ifeval", "ifeval"), ("AIME_2025", "aime-2025"), ("8ball", "t-8ball"),
        ("a" * 50, "a" * 18), ("x.", "t"), ("mmlu_pro_with_a_long_name", "mmlu-pro-with-a-lo"),
    ],
)  # fmt: skip
def test_a_name_begins_with_what_a_task_is_called(text: str, slug: str) -> None:
    assert names.slug(text) == slug


def test_a_name_that_is_taken_gives_way() -> None:
    taken = {"a-00000001", "a-00000002"}
    assert names.name("a", "0000000100000000", taken) == "a-00000003"


def test_the_rules_are_the_clients() -> None:
    from leptonai.api.v2 import job_validation
    from leptonai.config import LEPTON_RESERVED_ENV_NAMES

    assert names.RESERVED_VARIABLES == LEPTON_RESERVED_ENV_NAMES
    assert names._SYSTEM == job_validation.LEPTON_RESERVED_MOUNT_PATHS
    assert names.MAX_NAME == job_validation.MAX_JOB_NAME_LENGTH
    assert names._MAX_LABEL == job_validation.MAX_LABEL_KEY_LENGTH


def _takes(check: object, value: str) -> bool:
    try:
        check(value)  # type: ignore[operator]
    except ValueError:
        return False
    return True


@given(st.text(alphabet="/.abtmpuser", max_size=12).map("/{}".format))
def test_a_mount_path_is_refused_where_the_client_refuses_it(path: str) -> None:
    from leptonai.api.v2.job_validation import validate_mount_path

    assert (not names.mount_path_fault(path)) == _takes(validate_mount_path, path)


@given(st.text(alphabet="aZ0._-/ ", max_size=8) | st.just("a" * 63) | st.just("a" * 64))
def test_a_label_is_refused_where_the_client_refuses_it(key: str) -> None:
    from leptonai.api.v2.job_validation import validate_label_key

    assert (not names.label_fault(key)) == _takes(validate_label_key, key)


@given(
    st.sampled_from(
        ["node-local", "node-nfs:a", "node-", "node-nfs", "node-nfs:", "node-:a", "node-a:b:c", "x"]
    )
)
def test_a_volume_is_refused_where_the_client_refuses_it(volume: str) -> None:
    from leptonai.api.v2.spec_utils import _validate_mount_from

    assert (not names.volume_fault(volume)) == _takes(
        lambda v: _validate_mount_from("m", v), volume
    )
