"""Whatever stands in a record, it is read as a job or refused as an answer, and soon."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_kie.client.api.families import FAMILIES
from airflow_provider_kie.client.api.records import Job, parse_record
from airflow_provider_kie.client.errors import QUOTE_LIMIT, KieResponseError

JOB_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
SECRET = "5ec2e7"
LINK = f"https://tempfile.example/a.png?X-Amz-Signature={SECRET}"
# One after the other: nobody remembers all that a record may hold.
FIELDS = [
    *("taskId", "model", "state", "status", "successFlag", "resultJson", "response", "videoInfo", "midiData"),
    *("failCode", "failMsg", "errorCode", "errorMessage", "msg"),
    *("costTime", "createTime", "completeTime", "creditsConsumed"),
]
WORDS = [
    *("waiting", "wait", "queuing", "generating", "success", "fail", "PENDING", "TEXT_SUCCESS", "SUCCESS"),
    *("GENERATE_AUDIO_FAILED", "SENSITIVE_WORD_ERROR", "CALLBACK_EXCEPTION", 0, 1, 2, 3),
]

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    leaves | st.text() | st.sampled_from([LINK, JOB_ID, "", "0", "500"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
urls = st.lists(st.just(LINK) | values, max_size=3)
results = st.fixed_dictionaries(
    {},
    optional={
        "taskId": st.just(JOB_ID) | values,
        "resultUrls": urls | urls.map(json.dumps) | values,
        "sunoData": st.lists(st.fixed_dictionaries({}, optional={"audioUrl": st.just(LINK) | values})),
        "images": urls | values,
        **dict.fromkeys(
            (
                "videoUrl",
                "imageUrl",
                "resultVideoUrl",
                "resultImageUrl",
                "audioWavUrl",
                "vocalUrl",
                "drumsUrl",
            ),
            st.just(LINK) | values,
        ),
        "resultObject": values,
    },
)
records = st.dictionaries(
    st.sampled_from(FIELDS), values | st.sampled_from(WORDS) | results | results.map(json.dumps)
)


def judge(api: str, data: Any) -> None:
    begin, job, shown = time.process_time(), None, ""
    try:
        job = parse_record(JOB_ID, api, data)
    except KieResponseError as error:
        shown = str(error)
    assert time.process_time() - begin < 1
    if job:
        shown = str(job.to_error())
        judge_job(api, job)
    assert shown.isprintable()
    assert SECRET not in shown
    assert len(shown) < 2 * QUOTE_LIMIT + 100


def judge_job(api: str, job: Job) -> None:
    assert (job.job_id, job.api) == (JOB_ID, api)
    assert job.state in ("waiting", "running", "success", "failed")
    known = job.to_dict()
    assert json.loads(json.dumps(known, allow_nan=False)) == known
    if job.state == "success":
        assert job.output
    else:
        assert (job.urls, job.output) == ([], None)


@pytest.mark.parametrize("api", FAMILIES)
@given(data=records)
def test_any_record_is_a_job_or_an_answer_that_is_none(api: str, data: Any) -> None:
    judge(api, data)


@given(api=st.sampled_from(list(FAMILIES)), data=values)
def test_any_json_is_a_job_or_an_answer_that_is_none(api: str, data: Any) -> None:
    judge(api, data)


@given(api=st.sampled_from(list(FAMILIES)), text=st.text())
@example(api="market", text="[" * 100_000)
@example(api="market", text='{"resultUrls":' + "[" * 900 + "]" * 900 + "}")
@example(api="market", text='{"resultUrls":[' + ",".join(['"https://h/a"'] * 50_000) + "]}")
@example(api="market", text="9" * 5000)
@example(api="market", text='{"resultUrls": [' + "9" * 5000 + "]}")
@example(api="market", text='{"resultUrls": ["\\ud800"]}')
@example(api="market", text=" " * 1_000_000 + "{")
def test_any_text_in_the_place_of_anything_is_read(api: str, text: str) -> None:
    family = FAMILIES[api]
    for word in WORDS:
        judge(
            api, {family.state: word, family.result: text, "failMsg": text, "model": text, "costTime": text}
        )
    judge(api, {family.state: text, family.result: {"resultUrls": [LINK]}})


@pytest.mark.parametrize("depth", [10, 300, 900])
def test_a_record_that_is_nested_deeply_is_read(depth: int) -> None:
    nested = json.loads("[" * depth + "]" * depth)
    for name in FIELDS:
        for word in WORDS:
            judge("market", {"state": word, "resultJson": {"resultUrls": [LINK]}, name: nested})
