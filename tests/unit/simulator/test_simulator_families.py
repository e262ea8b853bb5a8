"""Every family of jobs answers in its own words."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import httpx
import pytest

from airflow_provider_kie.simulator import KieSimulator


class Row(NamedTuple):
    api: str
    submit: str
    record: str
    key: str
    """The record's field with the state."""
    running: Any
    success: Any
    failed: Any


FLAG, STATUS, STATE = "successFlag", "status", "state"
AUDIO = "GENERATE_AUDIO_FAILED"
MUSIC = ("generate/record-info", STATUS, "PENDING", "SUCCESS", AUDIO)
ROWS = [
    Row("runway", "runway/generate", "runway/record-detail", STATE, "wait", "success", "fail"),
    Row("runway-extend", "runway/extend", "runway/record-detail", STATE, "wait", "success", "fail"),
    Row("aleph", "aleph/generate", "aleph/record-info", FLAG, 0, 1, 3),
    Row("suno", "generate", *MUSIC),
    Row("suno-extend", "generate/extend", *MUSIC),
    Row("suno-upload-cover", "generate/upload-cover", *MUSIC),
    Row("suno-upload-extend", "generate/upload-extend", *MUSIC),
    Row("suno-add-instrumental", "generate/add-instrumental", *MUSIC),
    Row("suno-add-vocals", "generate/add-vocals", *MUSIC),
    Row(
        "suno-lyrics", "lyrics", "lyrics/record-info", STATUS, "PENDING", "SUCCESS", "GENERATE_LYRICS_FAILED"
    ),
    Row("suno-wav", "wav/generate", "wav/record-info", FLAG, "PENDING", "SUCCESS", "GENERATE_WAV_FAILED"),
    Row("suno-mp4", "mp4/generate", "mp4/record-info", FLAG, "PENDING", "SUCCESS", "GENERATE_MP4_FAILED"),
    Row(
        *("suno-vocal-removal", "vocal-removal/generate", "vocal-removal/record-info"),
        *(FLAG, "PENDING", "SUCCESS", AUDIO),
    ),
    Row("suno-midi", "midi/generate", "midi/record-info", FLAG, 0, 1, 3),
    Row("suno-cover", "suno/cover/generate", "suno/cover/record-info", FLAG, 0, 1, 3),
    Row("veo", "veo/generate", "veo/record-info", FLAG, 0, 1, 3),
    Row("veo-extend", "veo/extend", "veo/record-info", FLAG, 0, 1, 3),
    Row(
        *("4o-image", "gpt4o-image/generate", "gpt4o-image/record-info"),
        *(STATUS, "GENERATING", "SUCCESS", "GENERATE_FAILED"),
    ),
    Row("flux-kontext", "flux/kontext/generate", "flux/kontext/record-info", FLAG, 0, 1, 3),
]
BODY = {"prompt": "a fox", "model": "a-model", "callBackUrl": "https://example.com/hook"}
NAMED = {
    "aleph": ("resultVideoUrl", "resultImageUrl"),
    "suno-wav": ("audioWavUrl",),
    "suno-mp4": ("videoUrl",),
    "suno-vocal-removal": ("vocalUrl", "instrumentalUrl"),
    "flux-kontext": ("resultImageUrl",),
}
WITHOUT_FILES = ("suno-lyrics", "suno-midi")
each_family = pytest.mark.parametrize("row", ROWS, ids=[row.api for row in ROWS])


def submitted(kie: KieSimulator, web: httpx.Client, path: str) -> str:
    answer = web.post(f"{kie.api_url}/api/v1/{path}", json=BODY).json()
    assert (answer["code"], answer["msg"], list(answer["data"])) == (200, "success", ["taskId"])
    return str(answer["data"]["taskId"])


def looked_up(kie: KieSimulator, web: httpx.Client, path: str, job_id: str) -> Any:
    answer = web.get(f"{kie.api_url}/api/v1/{path}", params={"taskId": job_id}).json()
    assert (answer["code"], answer["msg"]) == (200, "success")
    return answer["data"]


def result_urls(api: str, data: dict[str, Any]) -> list[str]:
    """Give the results from where kie.ai's documents say that they are."""
    if api in WITHOUT_FILES:
        return []
    if api.startswith("runway"):
        return [data["videoInfo"]["videoUrl"], data["videoInfo"]["imageUrl"]]
    response = data["response"]
    if "sunoData" in response:
        return [song["audioUrl"] for song in response["sunoData"]]
    if api in NAMED:
        return [response[name] for name in NAMED[api]]
    return list(response["images" if api == "suno-cover" else "resultUrls"])


@each_family
def test_a_job_that_runs(kie: KieSimulator, web: httpx.Client, row: Row) -> None:
    kie.add_model(row.api, seconds=60, credits=2, hold=7)
    job_id = submitted(kie, web, row.submit)
    data = looked_up(kie, web, row.record, job_id)
    assert (data["taskId"], data[row.key], data["completeTime"]) == (job_id, row.running, None)
    assert abs(data["createTime"] - time.time() * 1000) < 60_000
    empty = ("response", "videoInfo", "midiData", "errorCode", "errorMessage", "failCode", "failMsg")
    assert not any(data.get(name) for name in empty)
    (job,) = kie.jobs
    assert (job.job_id, job.api, job.model, job.input) == (job_id, row.api, "a-model", {"prompt": "a fox"})
    assert (job.callback_url, job.held, kie.credits) == ("https://example.com/hook", 7, 93)
    assert [request.path for request in kie.requests_to("createTask")] == [f"/api/v1/{row.submit}"]
    assert [request.path for request in kie.requests_to("recordInfo")] == [f"/api/v1/{row.record}"]


@each_family
def test_a_job_that_succeeds(kie: KieSimulator, web: httpx.Client, plain: httpx.Client, row: Row) -> None:
    kie.add_model(row.api, seconds=0)
    data = looked_up(kie, web, row.record, submitted(kie, web, row.submit))
    assert (data[row.key], data["completeTime"]) == (row.success, data["createTime"])
    urls = result_urls(row.api, data)
    assert tuple(urls) == kie.jobs[0].urls
    assert all(plain.get(url).content for url in urls)
    assert bool(urls) == (row.api not in WITHOUT_FILES)


@each_family
def test_a_job_that_fails(kie: KieSimulator, web: httpx.Client, row: Row) -> None:
    kie.add_model(row.api, seconds=0, fail=500)
    data = looked_up(kie, web, row.record, submitted(kie, web, row.submit))
    code, msg = ("failCode", "failMsg") if row.api.startswith("runway") else ("errorCode", "errorMessage")
    assert (data[row.key], data[code]) == (row.failed, 500)
    assert data[msg] == "internal error, please try again later."
    assert not any(data.get(name) for name in ("response", "videoInfo", "midiData"))
    assert (kie.jobs[0].refunded, kie.credits) == (5, 100)


@each_family
def test_a_job_of_another_family_has_no_record(kie: KieSimulator, web: httpx.Client, row: Row) -> None:
    job_id = submitted(kie, web, row.submit)
    for other in {other.record for other in ROWS} - {row.record}:
        assert looked_up(kie, web, other, job_id) is None
    assert looked_up(kie, web, row.record, "0" * 32) is None
    market = web.get(f"{kie.api_url}/api/v1/jobs/recordInfo", params={"taskId": job_id}).json()
    assert market == {"code": 422, "msg": "recordInfo is null", "data": None}


@each_family
def test_what_is_refused_spends_nothing(kie: KieSimulator, web: httpx.Client, row: Row) -> None:
    url = f"{kie.api_url}/api/v1/{row.submit}"
    empty = web.post(url, json={"callBackUrl": BODY["callBackUrl"]}).json()
    assert (empty["code"], empty["msg"]) == (500, "prompt is required")
    assert web.post(url, json=BODY, headers={"Authorization": "Bearer wrong"}).json()["code"] == 401
    assert web.post(url, content="no json").json()["code"] == 422
    assert web.get(url).status_code == 405
    assert (kie.jobs, kie.credits) == ([], 100)


@each_family
def test_only_suno_wants_a_callback_url(kie: KieSimulator, web: httpx.Client, row: Row) -> None:
    answer = web.post(f"{kie.api_url}/api/v1/{row.submit}", json={"prompt": "a fox"}).json()
    assert answer["code"] == (422 if row.api.startswith("suno") else 200)
    assert len(kie.jobs) == (not row.api.startswith("suno"))


@pytest.mark.parametrize(
    ("api", "submit", "record", "key", "words"),
    [
        *[("suno", "generate", "generate/record-info", STATUS, ["PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS"])],
        ("runway", "runway/generate", "runway/record-detail", STATE, ["wait", "queueing", "generating"]),
    ],
)
def test_some_families_have_stages(
    kie: KieSimulator, web: httpx.Client, api: str, submit: str, record: str, key: str, words: list[str]
) -> None:
    kie.add_model(api, seconds=1.8, word="end")
    job_id = submitted(kie, web, submit)
    seen: list[str] = []
    while not seen or seen[-1] != "end":
        seen.append(looked_up(kie, web, record, job_id)[key])
        time.sleep(0.02)
    assert list(dict.fromkeys(seen)) == [*words, "end"]


def test_suno_can_have_the_media_although_its_callback_failed(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("suno", seconds=0, word="CALLBACK_EXCEPTION")
    data = looked_up(kie, web, "generate/record-info", submitted(kie, web, "generate"))
    assert (data["status"], len(data["response"]["sunoData"])) == ("CALLBACK_EXCEPTION", 1)


def test_text_and_notes_are_in_the_record_itself(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("suno-lyrics", seconds=0, output={"text": "la"})
    kie.add_model("suno-midi", seconds=0, output={"instruments": []})
    lyrics = looked_up(kie, web, "lyrics/record-info", submitted(kie, web, "lyrics"))
    assert [text["text"] for text in lyrics["response"]["data"]] == ["la"]
    midi = looked_up(kie, web, "midi/record-info", submitted(kie, web, "midi/generate"))
    assert midi["midiData"] == {"state": "complete", "instruments": []}


def test_the_files_and_more_keys_can_be_chosen(kie: KieSimulator, web: httpx.Client) -> None:
    kie.add_model("veo", seconds=0, files=[("a.mp4", b"1"), ("b.mp4", b"2")], output={"resolution": "1080p"})
    data = looked_up(kie, web, "veo/record-info", submitted(kie, web, "veo/generate"))
    assert [url.rpartition("/")[2] for url in data["response"]["resultUrls"]] == ["a.mp4", "b.mp4"]
    assert (data["response"]["resolution"], json.loads(data["paramJson"])) == ("1080p", BODY)
