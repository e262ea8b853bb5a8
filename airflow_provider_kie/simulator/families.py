"""kie.ai's families of jobs, one row each: where they are submitted, and how a record is worded. No HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_kie.simulator.jobs import SimulatedJob
from airflow_provider_kie.simulator.records import Family, Fields, body_of, milliseconds

PNG = ("image.png", b"\x89PNG\r\n\x1a\n a simulated image")
MP3 = ("song.mp3", b"ID3 a simulated song")
MP4 = ("video.mp4", b"\0\0\0\x18ftypmp42 a simulated video")
WAV = ("song.wav", b"RIFF\0\0\0\0WAVE a simulated song")


def _market_result(job: SimulatedJob, output: Mapping[str, Any]) -> Fields:
    urls = {"resultUrls": list(job.urls)} if job.urls else {}
    return {"resultJson": json.dumps(urls | dict(output))}


def _market_data(job: SimulatedJob) -> Fields:
    seconds = None if job.completed_at is None else round(job.completed_at - job.submitted_at)
    return {
        "model": job.model,
        "costTime": seconds,
        "updateTime": milliseconds(job.completed_at or job.submitted_at),
        # invented: that a failed job's is 0.
        "creditsConsumed": job.held if job.completed_at is None else job.charged,
    }


def _named(*names: str) -> Callable[[SimulatedJob, Mapping[str, Any]], Fields]:
    """Give each generated file a field of its own, in order; null for one that is missing."""

    def result(job: SimulatedJob, output: Mapping[str, Any]) -> Fields:
        urls = (*job.urls, *[None] * len(names))
        return {"taskId": job.job_id, **dict(zip(names, urls, strict=False)), **output}

    return result


def _listed(*names: str) -> Callable[[SimulatedJob, Mapping[str, Any]], Fields]:
    """Give all generated files one field, under each of these names."""

    def result(job: SimulatedJob, output: Mapping[str, Any]) -> Fields:
        return {"taskId": job.job_id, **{name: list(job.urls) for name in names}, **output}

    return result


def _songs(job: SimulatedJob, output: Mapping[str, Any]) -> Fields:
    # invented: their ids, title and length.
    known = {"modelName": job.model, "title": "", "duration": 1.5}
    songs = [{"id": f"{job.job_id}-{i}", "audioUrl": url, **known} for i, url in enumerate(job.urls)]
    return {"taskId": job.job_id, "sunoData": songs, **output}


def _lyrics(job: SimulatedJob, output: Mapping[str, Any]) -> Fields:
    text = {"text": "[Verse]\nA simulated song", "title": "", "status": "complete", "errorMessage": ""}
    return {"taskId": job.job_id, "data": [text | dict(output)]}


def _midi(_: SimulatedJob, output: Mapping[str, Any]) -> Fields:
    notes = [{"pitch": 60, "start": 0.0, "end": 0.5, "velocity": 1}]
    return {"state": "complete", "instruments": [{"name": "Piano", "notes": notes}], **output}


def _video_info(job: SimulatedJob, output: Mapping[str, Any]) -> Fields:
    # invented: the id.
    return {"videoId": job.job_id, **_named("videoUrl", "imageUrl")(job, output)}


_MARKET = Family(
    submit="jobs/createTask",
    record="jobs/recordInfo",
    key="state",
    running=("waiting", "queuing", "generating"),
    success="success",
    failed="fail",
    result=_market_result,
    field=None,
    param="param",
    error=("failCode", "failMsg"),
    error_type=str,
    data=_market_data,
    files=(PNG,),
)
# invented: its times; the documents have only a `generateTime`, as text.
_RUNWAY = Family(
    submit="runway/generate",
    record="runway/record-detail",
    key="state",
    running=("wait", "queueing", "generating"),
    success="success",
    failed="fail",
    result=_video_info,
    field="videoInfo",
    callback="data.task_id",
    error=("failCode", "failMsg"),
    no_error=("", ""),
    data=lambda job: {"parentTaskId": "", "generateParam": body_of(job), "expireFlag": 0},
    files=(MP4, PNG),
)
_ALEPH = Family(
    submit="aleph/generate",
    record="aleph/record-info",
    key="successFlag",
    running=(0,),
    success=1,
    failed=3,
    result=_named("resultVideoUrl", "resultImageUrl"),
    param="paramJson",
    callback="taskId",
    no_error=(0, ""),
    files=(MP4, PNG),
)
_VEO = Family(
    submit="veo/generate",
    record="veo/record-info",
    key="successFlag",
    running=(0,),
    success=1,
    failed=3,
    result=_listed("resultUrls", "originUrls"),
    param="paramJson",
    no_error=(None, ""),
    files=(MP4,),
)
_SUNO = Family(
    submit="generate",
    record="generate/record-info",
    key="status",
    running=("PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS"),
    success="SUCCESS",
    failed="GENERATE_AUDIO_FAILED",
    result=_songs,
    param="param",
    callback="data.task_id",
    files=(MP3,),
)
_WAV = Family(
    submit="wav/generate",
    record="wav/record-info",
    key="successFlag",
    running=("PENDING",),
    success="SUCCESS",
    failed="GENERATE_WAV_FAILED",
    result=_named("audioWavUrl"),
    callback="data.task_id",
    data=lambda job: {"callbackUrl": job.callback_url, "musicIndex": 0},
    files=(WAV,),
)
_MIDI = Family(
    submit="midi/generate",
    record="midi/record-info",
    key="successFlag",
    running=(0,),
    success=1,
    failed=3,
    result=_midi,
    field="midiData",
    callback="task_id",
)

FAMILIES: Mapping[str, Family] = {
    "market": _MARKET,
    "runway": _RUNWAY,
    "runway-extend": replace(_RUNWAY, submit="runway/extend"),
    "aleph": _ALEPH,
    "suno": _SUNO,
    "suno-extend": replace(_SUNO, submit="generate/extend"),
    "suno-upload-cover": replace(_SUNO, submit="generate/upload-cover"),
    "suno-upload-extend": replace(_SUNO, submit="generate/upload-extend"),
    "suno-add-instrumental": replace(_SUNO, submit="generate/add-instrumental"),
    "suno-add-vocals": replace(_SUNO, submit="generate/add-vocals"),
    "suno-lyrics": replace(
        _SUNO,
        submit="lyrics",
        record="lyrics/record-info",
        running=("PENDING",),
        failed="GENERATE_LYRICS_FAILED",
        result=_lyrics,
        files=(),
    ),
    "suno-wav": _WAV,
    "suno-mp4": replace(
        _WAV,
        submit="mp4/generate",
        record="mp4/record-info",
        failed="GENERATE_MP4_FAILED",
        result=_named("videoUrl"),
        files=(MP4,),
    ),
    "suno-vocal-removal": replace(
        _WAV,
        submit="vocal-removal/generate",
        record="vocal-removal/record-info",
        failed="GENERATE_AUDIO_FAILED",
        result=_named("vocalUrl", "instrumentalUrl", "drumsUrl", "bassUrl"),
        files=(("vocals.mp3", MP3[1]), ("instrumental.mp3", MP3[1])),
    ),
    "suno-midi": _MIDI,
    "suno-cover": replace(
        _MIDI,
        submit="suno/cover/generate",
        record="suno/cover/record-info",
        result=_listed("images"),
        field="response",
        callback="data.taskId",
        files=(PNG,),
    ),
    "veo": _VEO,
    "veo-extend": replace(_VEO, submit="veo/extend"),
    "4o-image": replace(
        _VEO,
        submit="gpt4o-image/generate",
        record="gpt4o-image/record-info",
        key="status",
        running=("GENERATING",),
        success="SUCCESS",
        failed="GENERATE_FAILED",
        result=_listed("resultUrls"),
        files=(PNG,),
    ),
    "flux-kontext": replace(
        _VEO,
        submit="flux/kontext/generate",
        record="flux/kontext/record-info",
        result=_named("resultImageUrl"),
        files=(PNG,),
    ),
}
