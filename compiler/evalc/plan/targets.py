"""Where the endpoint is that a task asks, and what its model is called there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evalc.plan.env import name_fault
from evalc.plan.names import ENDPOINT_URL
from evalc.plan.problems import BadEnvName, BadUrl, NotGiven
from evalc.plan.reading import Reader
from evalc.plan.settings import api_endpoint, as_word, block
from evalc.source.nodes import MARK, scalars
from evalc.words import Literal, RuntimeEnv, Word, literal

if TYPE_CHECKING:
    from evalc.plan.model import Service

# Sent by task type to the endpoint that serves it, where the deployment has none of that name.
_SERVED_BY = {"vlm": "chat", "completions_logprob": "completions"}
# Where servers that speak OpenAI's protocol have what a task asks for.
_USUAL_PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embedding": "/v1/embeddings",
}
_NOT_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f]")
# Also what stands for the URL of an auxiliary deployment, or for one that is wrong already.
_URL = re.compile(rf"https?://[^/?#]|auxiliary_deployments\.|.*{MARK}", re.IGNORECASE)
_BY_NAME = "an endpoint of the type lepton is found by it"
# The load balancer's port where the config does not say.
_PROXY_PORT = 5009


class TargetReader(Reader):
    """Reads what tasks are evaluated against."""

    def target(
        self, settings: dict[str, Any], endpoint_type: str, services: tuple[Service, ...]
    ) -> tuple[Word, Word]:
        """The URL of a task's endpoint, and the model's name."""
        own = api_endpoint(settings)
        url = as_word(own.get("url"))
        model = as_word(own.get("model_id"))
        self._check_url(url or self.word("target", "api_endpoint", "url"))
        # An auxiliary deployment is not what is evaluated.
        if not services or services[0].env_prefix:
            if self.on_lepton and self.is_looked_up():
                self.need("target", "api_endpoint", "deployment_name", because=_BY_NAME)
                url = url or self._looked_up(endpoint_type)
            if self._may_be_told_elsewhere(settings):
                return url or literal(MARK), model or literal(MARK)
            because = "there is no deployment, so the endpoint's address is"
            endpoint = ("target", "api_endpoint")
            url = url or self.need(*endpoint, "url", because=f"{because} needed")
            model = model or self.need(*endpoint, "model_id", because="no deployment names a model")
            return url, model
        service = services[0]
        url = url or self.word("target", "api_endpoint", "url")
        if url is None:
            path = service.endpoints.get(endpoint_type) or service.endpoints.get(
                _SERVED_BY.get(endpoint_type, "")
            )
            if path is None and self.is_unknown("deployment", "endpoints"):
                path = MARK
            if path is None:
                key = f"deployment.endpoints.{endpoint_type}"
                missing = NotGiven(
                    key=key,
                    because="a task of that endpoint type needs its URL path",
                    location=self.at("deployment", "endpoints"),
                )
                self.problems.append(missing)
                path = ""
            if self.on_lepton:
                url = (RuntimeEnv(ENDPOINT_URL), Literal(path))
            else:
                url = literal(f"http://127.0.0.1:{self._front_port(service)}{path}")
        return url, model or service.model_id

    def _check_url(self, url: Word | None) -> None:
        """Refuse what no client could ask: the server would be blamed, hours later."""
        texts = [part.text for part in url or () if isinstance(part, Literal)]
        if any(_NOT_IN_URLS.search(text) for text in texts):
            why = "has a space, a line break or another such character in it"
            advice = "write a space as %20"
        elif url and isinstance(url[0], Literal) and not _URL.match(_filled(url)):
            why, advice = "does not begin with http:// and a host", "write http://HOST:PORT/PATH"
        else:
            return
        # It was written once, for all tasks or in one.
        asked = (node for path, node in scalars(self.root) if path[-2:] == ("api_endpoint", "url"))
        at = next((n.location for n in asked if n.value in (texts[0], url)), None)
        at = at or self.value_at("target", "api_endpoint", "url")
        self.problems.append(BadUrl(why=why, advice=advice, location=at))

    def _may_be_told_elsewhere(self, settings: dict[str, Any]) -> bool:
        """Whether a stand-in may be where the endpoint is given, or served."""
        return self.is_unknown("deployment", "type") or MARK in (
            settings.get("target"),
            block(settings, "target").get("api_endpoint"),
        )

    def is_looked_up(self) -> bool:
        """Whether the endpoint is one of the platform's, which is found by its name."""
        target = ("target", "api_endpoint")
        return self.text(*target, "type") == "lepton" or bool(self.text(*target, "deployment_name"))

    def _looked_up(self, endpoint_type: str) -> Word:
        """The URL of an endpoint that runs already, whose address is known at submit time."""
        path = _USUAL_PATHS.get(_SERVED_BY.get(endpoint_type, endpoint_type))
        if path is None:
            because = f"where an endpoint has '{endpoint_type}' is not known"
            self.missing("target", "api_endpoint", "url", because=because)
        return (RuntimeEnv(ENDPOINT_URL), Literal(path or ""))

    def _front_port(self, service: Service) -> int:
        """The port at which steps find the model: the load balancer's, where there is one."""
        if service.instances == 1:
            return service.port
        proxy = ("execution", "proxy", "config", "haproxy_port")
        return self.count(*proxy, default=_PROXY_PORT)

    def key_name(self, settings: dict[str, Any]) -> str | None:
        """The variable with the endpoint's key; None without one."""
        own = api_endpoint(settings)
        name = own.get("api_key_name") or self.text("target", "api_endpoint", "api_key_name")
        if not name:
            return None
        fault = name_fault(str(name))
        if fault:
            at = self.at("target", "api_endpoint", "api_key_name")
            self.problems.append(BadEnvName(name=str(name), why=fault, location=at))
        return str(name)


def _filled(word: Word) -> str:
    """A word with a letter for what is known only when it runs."""
    return "".join(part.text if isinstance(part, Literal) else "x" for part in word)
