"""The families of models: where each takes its jobs and how its records read; a row of data each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MARKET = "market"


@dataclass(frozen=True)
class Family:
    """
    How one family words a job.

    :param submit: Path that takes new jobs.
    :param record: Path of a job's record.
    :param state: Field of the record with the state.
    :param result: Field of the record with the result, as an object or as JSON in text.
    :param urls: Fields of the result with the files' URLs, in order; ``[]`` stands for each entry of a list.
    :param has_model: Whether the body names a model.
    :param wants_callback: Whether a callback URL is required.
    """

    submit: str
    record: str
    state: str
    result: str = "response"
    urls: tuple[str, ...] = ()
    has_model: bool = True
    wants_callback: bool = False


def _music(submit: str) -> Family:
    record = "/api/v1/generate/record-info"
    return Family(submit, record, "status", urls=("sunoData[].audioUrl",), wants_callback=True)


def _suno(path: str, state: str, urls: tuple[str, ...] = (), result: str = "response") -> Family:
    submit = path if path == "/api/v1/lyrics" else f"{path}/generate"
    return Family(submit, f"{path}/record-info", state, result, urls, has_model=False, wants_callback=True)


# What a song can be split into; the first two are always there.
_STEMS = (
    *("vocalUrl", "instrumentalUrl", "backingVocalsUrl", "drumsUrl", "bassUrl", "guitarUrl", "keyboardUrl"),
    *("percussionUrl", "stringsUrl", "synthUrl", "fxUrl", "brassUrl", "woodwindsUrl"),
)
_RUNWAY = "/api/v1/runway/record-detail"
_CLIP = ("videoUrl", "imageUrl")
_VEO = "/api/v1/veo/record-info"

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        MARKET: Family(
            "/api/v1/jobs/createTask", "/api/v1/jobs/recordInfo", "state", "resultJson", ("resultUrls[]",)
        ),
        "runway": Family("/api/v1/runway/generate", _RUNWAY, "state", "videoInfo", _CLIP),
        "runway-extend": Family("/api/v1/runway/extend", _RUNWAY, "state", "videoInfo", _CLIP),
        "aleph": Family(
            "/api/v1/aleph/generate",
            "/api/v1/aleph/record-info",
            "successFlag",
            urls=("resultVideoUrl", "resultImageUrl"),
            has_model=False,
        ),
        "suno": _music("/api/v1/generate"),
        "suno-extend": _music("/api/v1/generate/extend"),
        "suno-upload-cover": _music("/api/v1/generate/upload-cover"),
        "suno-upload-extend": _music("/api/v1/generate/upload-extend"),
        "suno-add-instrumental": _music("/api/v1/generate/add-instrumental"),
        "suno-add-vocals": _music("/api/v1/generate/add-vocals"),
        "suno-cover": _suno("/api/v1/suno/cover", "successFlag", ("images[]",)),
        "suno-lyrics": _suno("/api/v1/lyrics", "status"),
        "suno-wav": _suno("/api/v1/wav", "successFlag", ("audioWavUrl",)),
        "suno-mp4": _suno("/api/v1/mp4", "successFlag", ("videoUrl",)),
        "suno-vocal-removal": _suno("/api/v1/vocal-removal", "successFlag", _STEMS),
        "suno-midi": _suno("/api/v1/midi", "successFlag", result="midiData"),
        "veo": Family("/api/v1/veo/generate", _VEO, "successFlag", urls=("resultUrls[]",)),
        "veo-extend": Family("/api/v1/veo/extend", _VEO, "successFlag", urls=("resultUrls[]",)),
        "4o-image": Family(
            "/api/v1/gpt4o-image/generate",
            "/api/v1/gpt4o-image/record-info",
            "status",
            urls=("resultUrls[]",),
            has_model=False,
        ),
        "flux-kontext": Family(
            "/api/v1/flux/kontext/generate",
            "/api/v1/flux/kontext/record-info",
            "successFlag",
            urls=("resultImageUrl",),
        ),
    }
)
