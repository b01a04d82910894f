"""The platform, through its own client: the package ``leptonai`` (types and routes of 0.47).

Nothing of the package is imported before :func:`connect` is called: that takes a second. Requests
that change nothing when they are repeated are repeated while the platform is busy or out of reach.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from evalc.backends.running import Unreachable
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeVar

    _Answer = TypeVar("_Answer")

INSTALL = "pip install 'evalc[lepton]'"
# Seconds that a request may take, and for which one that failed is repeated.
_TIMEOUT = 60
_PATIENCE = 40.0
_LONGEST_PAUSE = 8.0
# Lines of the past that the platform gives at a time.
_PAGE = 5000
# A job's log is asked for from here on, in nanoseconds: zero is taken for no answer.
_BEGINNING = 1


# Errors of the client's that have no answer with them; 404 is that of the workspace itself.
_CODES = {
    "WorkspaceUnauthorizedError": 401,
    "WorkspaceForbiddenError": 403,
    "WorkspaceNotFoundError": 400,
}


class ClientMissing(EvalcError):
    """The package that speaks to the platform is not installed."""

    exit_code = 2
    hint = f"{INSTALL}; a bundle's submit_all.sh does without"

    def __init__(self) -> None:
        super().__init__("the client of DGX Cloud Lepton is not installed")


class ClientBroken(EvalcError):
    """The package is there and can't be used: another release, or a damaged record of logins."""

    exit_code = 2

    def __init__(self, why: str) -> None:
        self.why = " ".join(why.split())
        self.hint = f"{INSTALL}; then 'lep login'"
        super().__init__(f"the client of DGX Cloud Lepton can't be used: {self.why}")


class NotLoggedIn(EvalcError):
    """Nothing says which workspace it is, or what opens it."""

    exit_code = 1
    hint = "lep login -c WORKSPACE_ID:TOKEN, or set LEPTON_WORKSPACE_ID and LEPTON_WORKSPACE_TOKEN"

    def __init__(self) -> None:
        super().__init__("not logged in to a workspace of DGX Cloud Lepton")


class Refused(Exception):
    """The platform, or its client, will not create something; it says why."""


class Absent(Exception):
    """There is no such thing."""


class Unauthorized(Unreachable):
    """The token does not open the workspace, or not any more."""


class Unsure(Exception):
    """Nobody knows whether something was created. ``answered`` when the request was, if only that
    something went wrong."""

    def __init__(self, why: str, *, answered: bool) -> None:
        self.answered = answered
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the platform tells it; ``state`` in its own words. Times are seconds since 1970."""

    id: str
    name: str
    state: str
    created: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as the platform tells it. ``phase`` tells Stopping and Stopped from Not Ready."""

    name: str
    state: str
    phase: str = ""
    url: str = ""


def by_name(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """The jobs by their names, the newest last."""
    found: dict[str, list[Job]] = {}
    for job in sorted(jobs, key=lambda one: one.created or 0):
        found.setdefault(job.name, []).append(job)
    return found


def connect() -> Platform:
    """The workspace that the environment, or ``lep login``, names; nothing is asked yet.

    Raises :class:`ClientMissing`, :class:`ClientBroken` and :class:`NotLoggedIn`.
    """
    check_client()
    try:
        from leptonai.api.v2 import APIClient
    except Exception as error:  # noqa: BLE001 - it reads files of its own while it is imported
        raise ClientBroken(str(error)) from None
    try:
        client = APIClient()
    except Exception:  # noqa: BLE001 - without a token it is a TypeError
        raise NotLoggedIn from None
    return Platform(client)


def check_client() -> None:
    """Raises :class:`ClientMissing`; costs no import."""
    if find_spec("leptonai") is None:
        raise ClientMissing


class Platform:
    """A workspace. Every method raises :class:`~evalc.backends.running.Unreachable`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._decided = False
        # Its own 120 seconds are long for somebody who waits before a terminal.
        client._timeout = _TIMEOUT  # noqa: SLF001 - there is no other way to set it
        self.name = f"Lepton workspace {client.workspace_id}"

    def jobs(self, part: str) -> list[Job]:
        """The jobs whose names have this part, those that are archived, too."""
        listed = self._ask(
            lambda: self._client.job.list_all(job_query_mode="alive_and_archive", q=part)
        )
        return [_job(one) for one in listed]

    def create_job(self, body: Mapping[str, Any]) -> str:
        """Creates a job; its id. Raises :class:`Refused`, and :class:`Unsure`."""
        from leptonai.api.v2.types.job import LeptonJob

        made = self._create(LeptonJob, body, self._client.job.create)
        return str(made.metadata.id_)

    def stop_job(self, id_: str) -> None:
        """Has a job end. Raises :class:`Absent`."""
        self._ask(lambda: self._client.job.update(id_, {"spec": {"stopped": True}}))

    def endpoint(self, name: str) -> Endpoint | None:
        """The endpoint of this name, None when there is none."""
        try:
            found = self._ask(lambda: self._endpoints().get(name))
        except Absent:
            return None
        status = found.status
        return Endpoint(
            name,
            status.state.value if status else "",
            status.phase.value if status and status.phase else "",
            status.endpoint.external_endpoint if status else "",
        )

    def create_endpoint(self, body: Mapping[str, Any]) -> None:
        """Creates an endpoint. Raises :class:`Refused`, and :class:`Unsure`."""
        from leptonai.api.v2.types.deployment import LeptonDeployment

        self._create(LeptonDeployment, body, self._endpoints().create_with_response)

    def _endpoints(self) -> Any:
        """The client's API for endpoints, of the family that the workspace has.

        The client decides once, and takes the older one when nobody answers: that would be wrong
        for as long as the process lives.
        """
        if not self._decided:
            self._ask(self._decide)
            self._decided = True
        return self._client.deployment

    def _decide(self) -> None:
        from leptonai.api.v2.client import reset_new_deployment_api_flag_cache

        try:
            self._client.deployment_feature_snapshot()
        except Exception:
            reset_new_deployment_api_flag_cache(self._client.url)
            raise

    def delete_endpoint(self, name: str) -> None:
        """Removes an endpoint. Raises :class:`Absent`."""
        self._ask(lambda: self._endpoints().delete(name))

    def replicas(self, *, job: str = "", endpoint: str = "") -> list[str]:
        """The ids of the replicas that run, or ran last, of a job or an endpoint."""
        try:
            if job:
                listed = self._ask(lambda: self._client.job.get_replicas(job))
            else:
                listed = self._ask(lambda: self._endpoints().get_replicas(endpoint))
        except Absent:
            return []
        return [str(one.metadata.id_ or one.id_) for one in listed]

    def live_log(self, replica: str, *, job: str = "", endpoint: str = "") -> Iterator[bytes]:
        """What a replica says, from its beginning on and for as long as it runs, in pieces; the
        first is empty, and comes when the platform has answered.

        The client's own ``get_log`` decodes each piece for itself, and fails where a character
        is cut. Raises :class:`Absent` for one that is not kept.
        """
        family = "jobs"
        if endpoint:
            self._endpoints()
            family = "endpoints" if self._client.new_deployment_api_enabled else "deployments"
        path = f"/{family}/{job or endpoint}/replicas/{replica}/log"

        def open_() -> Any:
            # No end of waiting between two pieces: a harness may be silent for long.
            answer = self._client._get(path, stream=True, timeout=(_TIMEOUT, None))  # noqa: SLF001 - see above
            if not answer.ok:
                from leptonai.api.v2.api_resource import (
                    ClientError,
                    ServerError,
                )

                raise (ServerError if answer.status_code >= 500 else ClientError)(answer)
            return answer

        import requests

        with self._ask(open_) as answer:
            yield b""
            try:
                yield from answer.iter_content(chunk_size=None)
            except requests.RequestException as error:
                raise Unreachable(self.name, f"the log broke off: {_words(error)}") from None

    def past_log(self, *, job: str = "", endpoint: str = "") -> Iterator[bytes]:
        """The lines that the platform has kept, with their ends, the newest first."""
        which = {"name_or_job": job} if job else {"name_or_deployment": endpoint}
        end = time.time_ns() + 10**9
        while end > _BEGINNING:
            told = self._ask(
                partial(self._client.log.get_log, **which, start=_BEGINNING, end=end, limit=_PAGE)
            )
            lines = sorted(
                (
                    (int(when), line)
                    for stream in told["data"]["result"]
                    for when, line in stream["values"]
                ),
                reverse=True,
            )
            yield from (line.encode(errors="surrogateescape") + b"\n" for _, line in lines)
            if len(lines) < _PAGE:
                return
            end = lines[-1][0]

    def inquire(self, what: str) -> list[tuple[str, str]]:
        """Ids and names of what the workspace has: ``node groups``, ``shapes`` or ``secrets``."""
        if what == "secrets":
            return [(one.name, one.name) for one in self._ask(self._client.secret.list_all)]
        call = self._client.nodegroup.list_all if what == "node groups" else (
            self._client.shapes.list_shapes
        )  # fmt: skip
        return [(str(one.metadata.id_), str(one.metadata.name)) for one in self._ask(call)]

    def greet(self) -> str:
        """The workspace's name, when it can be reached and the token opens it."""
        return str(self._ask(self._client.info).workspace_name)

    def _create(self, kind: Any, body: Mapping[str, Any], call: Callable[[Any], Any]) -> Any:
        def create() -> Any:
            try:
                return call(kind.model_validate(body))
            except ValueError as error:
                raise Refused(_words(error)) from None

        end = time.monotonic() + _PATIENCE
        pause = 0.5
        while True:
            try:
                return create()
            except Refused:
                raise
            except Exception as error:  # noqa: BLE001 - sorted below
                code = _code(error)
                if code == 429 and time.monotonic() + pause < end:
                    # It was not looked at, so it can be sent again.
                    time.sleep(max(pause, _retry_after(error)))
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                if code in (401, 403):
                    raise Unauthorized(self.name, _why(error)) from None
                if code == 429:
                    raise Unreachable(self.name, _why(error)) from None
                if code is not None and code < 500:
                    raise Refused(_why(error)) from None
                raise Unsure(_why(error), answered=code is not None) from None

    def _ask(self, call: Callable[[], _Answer]) -> _Answer:
        """A request that can be repeated."""
        end = time.monotonic() + _PATIENCE
        pause = 0.5
        while True:
            try:
                return call()
            except Exception as error:
                code = _code(error)
                if code == 404:
                    raise Absent(_why(error)) from None
                if code in (401, 403):
                    raise Unauthorized(self.name, _why(error)) from None
                if not isinstance(error, (RuntimeError, OSError)):
                    raise
                wait = max(pause, _retry_after(error))
                hopeless = code is not None and code < 500 and code != 429
                if hopeless or time.monotonic() + wait > end:
                    raise Unreachable(self.name, _why(error)) from None
                time.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE)


def _job(one: Any) -> Job:
    status = one.status
    # In milliseconds; the other one is in seconds, in which two may have been created.
    made = one.metadata.created_at
    created = made / 1000 if made else status.creation_time if status else None
    return Job(
        id=str(one.metadata.id_),
        name=str(one.metadata.name or ""),
        state=status.state.value if status and status.state else "",
        created=created,
        ended=status.completion_time if status else None,
    )


def _code(error: Exception) -> int | None:
    """The answer's code; None where there was no answer, or one that can't be read."""
    if type(error).__name__ in _CODES:
        return _CODES[type(error).__name__]
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", None)
    code = getattr(error, "status_code", None) if code is None else code
    return code if isinstance(code, int) and code >= 400 else None


def _retry_after(error: Exception) -> float:
    response = getattr(error, "response", None)
    text = response.headers.get("Retry-After", "") if response is not None else ""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _why(error: Exception) -> str:
    """An error in one line; what the platform itself says, where it says something."""
    response = getattr(error, "response", None)
    if response is None:
        return _words(error)
    try:
        said = response.json().get("message", "")
    except (ValueError, AttributeError):
        said = ""
    code = response.status_code
    if code == 401:
        return f"it does not take the token (401): {said}; 'lep login' with a new one"
    return f"{said or response.reason} ({code})"


def _words(error: Exception) -> str:
    if "programming error" in str(error):
        return "its answer can't be read"
    if type(error).__module__.startswith(("requests", "urllib3")):
        name = type(error).__name__
        return "no answer in time" if "Timeout" in name else f"the connection failed ({name})"
    return " ".join(str(error).split())[:300]
