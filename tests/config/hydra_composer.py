"""What Hydra composes, for tests that hold evalc against it."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from hydra.version import setbase
from omegaconf import OmegaConf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest


@contextmanager
def hydra_environment(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]
) -> Iterator[None]:
    """Hydra 1.3 with the resolver that launchers register, and these environment variables."""
    Plugins.instance()
    setbase("1.3")
    if not OmegaConf.has_resolver("select_not_null"):
        # As launchers register it: the value of a key from the top, or the default for null.
        OmegaConf.register_new_resolver("select_not_null", _select_not_null)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _select_not_null(key: str, default: object, *, _root_: Any) -> object:
    value = OmegaConf.select(_root_, key, default=None, throw_on_resolution_failure=False)
    return default if value is None else value


def search_path(places: Sequence[tuple[str, Path]]) -> ConfigSearchPathImpl:
    """Hydra's search path over these (provider, folder)."""
    path = ConfigSearchPathImpl()
    for provider, folder in places:
        path.append(provider, str(folder))
    path.append("schema", "structured://")
    return path


def by_hydra_core(name: str, places: Sequence[tuple[str, Path]], overrides: list[str]) -> Any:
    """What Hydra composes when its own config is left out, which takes most of its time; or what it
    raises. The provider ``main`` is the folder of the primary config ``name``."""
    loader = ConfigLoaderImpl(search_path(places))
    try:
        parsed, repository = loader._parse_overrides_and_create_caching_repo(name, overrides)
        loader.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=False)
        defaults = create_defaults_list(
            repository, name, parsed, prepend_hydra=False, skip_missing=False
        )
        config = loader._compose_config_from_defaults_list(defaults.defaults, repository)
        OmegaConf.set_struct(config, True)
        loader._apply_overrides_to_config(defaults.config_overrides, config)
        return OmegaConf.to_container(config, resolve=True)
    except (Exception, RecursionError) as error:  # noqa: BLE001 - Hydra raises all sorts
        return error
