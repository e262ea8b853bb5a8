"""Records in each family's recorded or documented words; ids, names and numbers are made up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

JOB_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
A, B = "https://tempfile.example/a.bin", "https://tempfile.example/b.bin"
TIMES = {"createTime": 1769670700000, "completeTime": 1769670745500}


@dataclass(frozen=True)
class Sample:
    """
    How one family words its records.

    :param state: Field of the state.
    :param running: Its words for a job under way, and what we call them.
    :param success: Its word for success.
    :param failed: Its words for failure.
    :param result: What a record has only after success.
    :param urls: The result's files.
    :param output: The result as it is passed on.
    :param error: What a failed record says of the reason.
    :param code: The reason's code.
    """

    state: str
    running: dict[str | int, str]
    success: str | int
    failed: tuple[str | int, ...]
    result: dict[str, Any]
    urls: list[str]
    output: Any
    error: dict[str, Any] = field(default_factory=lambda: {"errorCode": 500, "errorMessage": "it broke"})
    code: int | None = 500

    def record(self, word: str | int, **more: Any) -> dict[str, Any]:
        """Write a record with this state."""
        return {"taskId": JOB_ID, self.state: word, **TIMES, **more}


_MARKET_OUTPUT = {"resultUrls": [A, B]}
_LYRICS = {"taskId": JOB_ID, "data": [{"text": "[Verse]\nla", "title": "La"}]}
_SONGS = {"taskId": JOB_ID, "sunoData": [{"id": "1", "audioUrl": A}, {"id": "2", "audioUrl": B}]}
_VIDEO = {"videoId": "7", "taskId": JOB_ID, "videoUrl": A, "imageUrl": B}
_STEMS = {"vocalUrl": A, "instrumentalUrl": B, "drumsUrl": None, "bassUrl": ""}
_SUNO_FAILURES = ("CREATE_TASK_FAILED", "SENSITIVE_WORD_ERROR")
_FLAG = {0: "running"}
_PENDING = {"PENDING": "waiting"}
_MUSIC = Sample(
    "status",
    {"PENDING": "waiting", "TEXT_SUCCESS": "running", "FIRST_SUCCESS": "running"},
    "SUCCESS",
    (*_SUNO_FAILURES, "GENERATE_AUDIO_FAILED"),
    {"response": _SONGS},
    [A, B],
    _SONGS,
)
_RUNWAY = Sample(
    "state",
    {"wait": "waiting", "queueing": "waiting", "generating": "running"},
    "success",
    ("fail",),
    {"videoInfo": _VIDEO},
    [A, B],
    _VIDEO,
    {"failCode": "400", "failMsg": "it broke"},
    400,
)


def _answers(output: Any, urls: list[str], **more: Any) -> Sample:
    """Sample a family whose result is its ``response``, and whose state a number."""
    given: dict[str, Any] = {"state": "successFlag", "running": _FLAG, "success": 1, "failed": (2, 3)}
    return Sample(result={"response": output}, output=output, urls=urls, **{**given, **more})


def _suno(output: Any, urls: list[str], state: str, failed: str) -> Sample:
    words = {"running": _PENDING, "success": "SUCCESS", "failed": (*_SUNO_FAILURES, failed)}
    return _answers(output, urls, state=state, **words)


SAMPLES: dict[str, Sample] = {
    "market": Sample(
        "state",
        {"waiting": "waiting", "queuing": "waiting", "generating": "running"},
        "success",
        ("fail",),
        {"resultJson": json.dumps(_MARKET_OUTPUT)},
        [A, B],
        _MARKET_OUTPUT,
        {"failCode": "500", "failMsg": "it broke"},
    ),
    "runway": _RUNWAY,
    "runway-extend": _RUNWAY,
    "aleph": _answers({"taskId": JOB_ID, "resultVideoUrl": A, "resultImageUrl": B}, [A, B]),
    "suno": _MUSIC,
    "suno-extend": _MUSIC,
    "suno-upload-cover": _MUSIC,
    "suno-upload-extend": _MUSIC,
    "suno-add-instrumental": _MUSIC,
    "suno-add-vocals": _MUSIC,
    "suno-cover": _answers({"images": [A, B]}, [A, B]),
    "suno-lyrics": _suno(_LYRICS, [], "status", "GENERATE_LYRICS_FAILED"),
    "suno-wav": _suno({"audioWavUrl": A}, [A], "successFlag", "GENERATE_WAV_FAILED"),
    "suno-mp4": _suno({"videoUrl": A}, [A], "successFlag", "GENERATE_MP4_FAILED"),
    "suno-vocal-removal": _suno(_STEMS, [A, B], "successFlag", "GENERATE_AUDIO_FAILED"),
    "suno-midi": Sample(
        "successFlag",
        {0: "running"},
        1,
        (2, 3),
        {"midiData": {"state": "complete", "instruments": [{"name": "Piano"}]}},
        [],
        {"state": "complete", "instruments": [{"name": "Piano"}]},
    ),
    "veo": _answers({"taskId": JOB_ID, "resultUrls": [A, B], "originUrls": None}, [A, B]),
    "veo-extend": _answers({"taskId": JOB_ID, "resultUrls": [A, B], "originUrls": None}, [A, B]),
    "4o-image": _answers(
        {"resultUrls": [A]},
        [A],
        state="status",
        running={"GENERATING": "running"},
        success="SUCCESS",
        failed=("CREATE_TASK_FAILED", "GENERATE_FAILED"),
    ),
    "flux-kontext": _answers({"originImageUrl": B, "resultImageUrl": A}, [A]),
}
