"""The platform, through its own client: the package ``leptonai`` (types and routes of 0.47).

Nothing of the package is imported before :func:`connect` is called: that takes a second. Requests
that change nothing when they are repeated are repeated while the platform is busy or out of reach.
"""

from __future__ import annotations

import time
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from evalc.backends.lepton.runs.answers import (
    UNREADABLE,
    Endpoint,
    Job,
    code_of,
    job_of,
    lines_of,
    retry_after,
    why_of,
    words_of,
)
from evalc.backends.running import Unreachable
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
# Jobs that the platform gives at a time, as the client asks for them, and which of all.
_JOBS = 500
_ALL = "alive_and_archive"


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

    # Whether it was waited for in vain: a command asks about one run after the other, and whoever
    # waits for it waits once.
    _is_lost: ClassVar[bool] = False

    def __init__(self, client: Any) -> None:
        self._client = client
        self._decided = False
        # Its own 120 seconds are long for somebody who waits before a terminal.
        client._timeout = _TIMEOUT  # noqa: SLF001 - there is no other way to set it
        self.name = f"Lepton workspace {client.workspace_id}"

    def jobs(self, part: str) -> list[Job]:
        """The jobs whose names have this part, those that are archived, too.

        The client's own ``list_all`` leaves out what its models do not take: a job that is not seen
        would be created once more, and the endpoint that it talks to removed.
        """
        found: dict[str, Job] = {}
        query = {"job_query_mode": _ALL, "q": part, "page_size": _JOBS}
        for page in count(1):
            told = self._ask(partial(self._page, {**query, "page": page}))
            # A server that knows no pages gives the same one again and again.
            if told.keys() <= found.keys():
                break
            found |= told
        return list(found.values())

    def job(self, id_: str) -> Job:
        """The job of this id. Raises :class:`Absent`."""
        query = {"job_query_mode": _ALL}
        return self._ask(lambda: job_of(self._json(f"/jobs/{id_}", params=query)))

    def create_job(self, body: Mapping[str, Any]) -> str:
        """Creates a job; its id. Raises :class:`Refused`, and :class:`Unsure`."""
        from leptonai.api.v2.types.job import LeptonJob

        made = self._create(LeptonJob, body, self._client.job.create)
        if not made.metadata.id_:
            raise Unsure("its answer has no id", answered=True)
        return str(made.metadata.id_)

    def stop_job(self, id_: str) -> None:
        """Has a job end. Raises :class:`Absent`."""
        body = {"spec": {"stopped": True}}
        # The client's own fails where its models do not take the answer.
        self._ask(lambda: self._ok(self._client._patch(f"/jobs/{id_}", json=body)))  # noqa: SLF001

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
        path = f"{self._path(job, endpoint)}/replicas"
        query = {"job_query_mode": _ALL} if job else {}
        try:
            listed = self._ask(lambda: self._list(path, "", params=query))
        except Absent:
            return []
        ids = [(one.get("metadata") or {}).get("id") or one.get("id") for one in listed]
        return [str(id_) for id_ in ids if id_]

    def live_log(self, replica: str, *, job: str = "", endpoint: str = "") -> Iterator[bytes]:
        """What a replica says, from its beginning on and for as long as it runs, in pieces; the
        first is empty, and comes when the platform has answered.

        The client's own ``get_log`` decodes each piece for itself, and fails where a character
        is cut. Raises :class:`Absent` for one that is not kept.
        """
        path = f"{self._path(job, endpoint)}/replicas/{replica}/log"

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
                raise Unreachable(self.name, f"the log broke off: {words_of(error)}") from None

    def past_log(self, *, job: str = "", endpoint: str = "") -> Iterator[bytes]:
        """The lines that the platform has kept, with their ends, the newest first."""
        which = {"name_or_job": job} if job else {"name_or_deployment": endpoint}
        end = time.time_ns() + 10**9
        while end > _BEGINNING:
            ask = partial(self._client.log.get_log, **which, start=_BEGINNING, end=end, limit=_PAGE)
            lines = sorted(self._ask(partial(lines_of, ask)), reverse=True)
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

    def _path(self, job: str, endpoint: str) -> str:
        """Where a job or an endpoint is."""
        if job:
            return f"/jobs/{job}"
        self._endpoints()
        family = "endpoints" if self._client.new_deployment_api_enabled else "deployments"
        return f"/{family}/{endpoint}"

    def _page(self, query: Mapping[str, Any]) -> dict[str, Job]:
        listed = self._list("/jobs", "jobs", params=query)
        return {job.id: job for job in map(job_of, listed)}

    def _ok(self, answer: Any) -> None:
        self._client.job.ensure_ok(answer)

    def _json(self, path: str, **more: Any) -> Any:
        answer = self._client._get(path, **more)  # noqa: SLF001 - see jobs
        return self._client.job.ensure_json(answer)

    def _list(self, path: str, key: str, **more: Any) -> list[Any]:
        """A list, which may stand under a key; an empty one may be null, as Go writes it."""
        found = self._json(path, **more)
        found = found[key] if isinstance(found, dict) else found
        if found is not None and not isinstance(found, list):
            raise TypeError
        return found or []

    def _create(self, kind: Any, body: Mapping[str, Any], call: Callable[[Any], Any]) -> Any:
        def create() -> Any:
            try:
                return call(kind.model_validate(body))
            except ValueError as error:
                raise Refused(words_of(error)) from None

        end = time.monotonic() + _PATIENCE
        pause = 0.5
        while True:
            try:
                return create()
            except Refused:
                raise
            except Exception as error:  # noqa: BLE001 - sorted below
                code = code_of(error)
                if code == 429 and time.monotonic() + pause < end:
                    # It was not looked at, so it can be sent again.
                    time.sleep(max(pause, retry_after(error)))
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                # 403 is about what is to be created: the token was taken a moment ago.
                if code == 401:
                    raise Unauthorized(self.name, why_of(error)) from None
                if code == 429:
                    raise Unreachable(self.name, why_of(error)) from None
                if code is not None and code < 500:
                    raise Refused(why_of(error)) from None
                raise Unsure(why_of(error), answered=code is not None) from None

    def _ask(self, call: Callable[[], _Answer]) -> _Answer:
        """A request that can be repeated."""
        end = time.monotonic() + (0 if Platform._is_lost else _PATIENCE)
        pause = 0.5
        while True:
            try:
                answer = call()
            except Exception as error:  # noqa: BLE001 - sorted below
                code = code_of(error)
                if code == 404:
                    raise Absent(why_of(error)) from None
                if code in (401, 403):
                    raise Unauthorized(self.name, why_of(error)) from None
                if not isinstance(error, (RuntimeError, OSError)):
                    # It came whole, and is of another form than anybody expects.
                    raise Unreachable(self.name, UNREADABLE) from None
                wait = max(pause, retry_after(error))
                hopeless = code is not None and code < 500 and code != 429
                if hopeless or time.monotonic() + wait > end:
                    Platform._is_lost = not hopeless
                    raise Unreachable(self.name, why_of(error)) from None
                time.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                Platform._is_lost = False
                return answer
