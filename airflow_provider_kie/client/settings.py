"""How to reach kie.ai; checked once, before any request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_provider_kie.client.errors import KieConfigError
from airflow_provider_kie.client.urls import authority, is_http_url, is_loopback

API_BASE_URL = "https://api.kie.ai"
UPLOAD_BASE_URL = "https://kieai.redpandaai.co"
# Serves uploaded files, according to kie.ai's answers.
UPLOADED_FILES_HOST = "tempfile.redpandaai.co"
CHAT_PATH = "/{model}/v1/chat/completions"
# Of kie.ai's older documents.
LEGACY_API_HOST = "kieai.erweima.ai"
LEGACY_CHAT_PATH = "/api/v1/chat/completions"
_PATH = re.compile(r"(?!.*/\.+(/|$))(/([A-Za-z0-9._~-]|\{model\})+)+")


@dataclass(frozen=True)
class KieSettings:
    """
    Settings of one kie.ai account.

    :param api_key: The key; sent to the two base URLs' hosts and nowhere else.
    :param base_url: API host, https (http on loopback only).
    :param upload_base_url: Upload host, likewise.
    :param timeout: Seconds of silence after which a request is given up; also the limit for a whole call
        without a file, plus the time that its body needs on a slow line.
    :param max_retries: How often a request is repeated after a transient failure; 0 for never.
    :param upload_retention_hours: Hours that kie.ai keeps an uploaded file.
    :param uploaded_files_host: Host that serves uploaded files, which need no signed link; with its port
        unless that is the scheme's default.
    :param chat_path: Path of chat on the API host, with ``{model}`` where the model goes; None for the host's
        usual one.
    :raises KieConfigError: A setting is unusable; the message begins with its name.
    """

    api_key: str = field(repr=False)
    base_url: str = API_BASE_URL
    upload_base_url: str = UPLOAD_BASE_URL
    timeout: float = 60.0
    max_retries: int = 4
    upload_retention_hours: float = 24.0
    uploaded_files_host: str = UPLOADED_FILES_HOST
    chat_path: str | None = None

    def __post_init__(self) -> None:
        if not self.api_key:
            raise KieConfigError("api_key: is empty; make a key at https://kie.ai/api-key")
        # A header cannot carry anything else, and the HTTP library's own complaint would show the key.
        if not all("!" <= char <= "~" for char in self.api_key):
            raise KieConfigError("api_key: has white space or characters that no key has; paste it again")
        _check_base_url("base_url", self.base_url)
        _check_base_url("upload_base_url", self.upload_base_url)
        _check_host("uploaded_files_host", self.uploaded_files_host)
        _check_number("timeout", self.timeout, "seconds", above=0, at_most=86_400)
        _check_number("max_retries", self.max_retries, "retries", above=-1, at_most=100)
        if self.max_retries != int(self.max_retries):
            raise KieConfigError(f"max_retries: must be a whole number, not {self.max_retries!r}")
        _check_number("upload_retention_hours", self.upload_retention_hours, "hours", above=0, at_most=87_600)
        if self.chat_path is not None and not _PATH.fullmatch(self.chat_path):
            raise KieConfigError(f"chat_path: is not a path such as {CHAT_PATH}, without query and fragment")

    def path_of_chat(self, model: str) -> str:
        """
        Return where a model chats.

        :param model: Model.
        :return: Path on the API host.
        """
        is_legacy = urlsplit(self.base_url).hostname == LEGACY_API_HOST
        path = self.chat_path or (LEGACY_CHAT_PATH if is_legacy else CHAT_PATH)
        return path.replace("{model}", model)

    def is_uploaded_file(self, file_url: str) -> bool:
        """
        Return whether a URL is that of an uploaded file, rather than a generated one.

        :param file_url: URL of a file.
        :return: True for the upload host and the host that serves its files: these need no signed link.
        """
        hosts = authority(self.upload_base_url), authority(f"https://{self.uploaded_files_host}")
        return authority(file_url) in hosts


def _check_base_url(name: str, url: str) -> None:
    # The messages leave the value out: it may be a secret that someone pasted here by mistake.
    if not is_http_url(url):
        raise KieConfigError(f"{name}: is not an https URL; it looks like {API_BASE_URL}")
    parts = urlsplit(url)
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise KieConfigError(f"{name}: must hold no user, password, query or fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise KieConfigError(f"{name}: must be https (http on loopback only): the key is sent there")


def _check_host(name: str, host: str) -> None:
    url = f"https://{host}"
    if not is_http_url(url) or urlsplit(url).netloc != host or "@" in host:
        raise KieConfigError(f"{name}: is not a host, with or without a port, such as {UPLOADED_FILES_HOST}")


def _check_number(name: str, value: float, unit: str, *, above: float, at_most: float) -> None:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or not above < value <= at_most:
        least = "more than 0" if above == 0 else "0 or more"
        raise KieConfigError(f"{name}: must be {least} and at most {at_most} {unit}, not {value!r:.40}")
