"""A record in any family's words becomes a job; what is no record becomes an error, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kie.client.api.families import FAMILIES
from airflow_provider_kie.client.api.records import Job, parse_record
from airflow_provider_kie.client.errors import KieResponseError
from airflow_provider_kie.client.portable import DEPTH
from tests.unit.client.api.records import JOB_ID, SAMPLES, A, B

EACH = pytest.mark.parametrize("api", SAMPLES)
SUNO = [api for api, sample in SAMPLES.items() if sample.success == "SUCCESS" and api.startswith("suno")]


def market(state: str = "success", **more: Any) -> Job:
    """Read a record of Market."""
    given = {"resultJson": json.dumps({"resultUrls": [A]})} if state == "success" else {}
    return parse_record(JOB_ID, "market", {"taskId": JOB_ID, "state": state, **given, **more})


def test_each_family_has_a_sample() -> None:
    assert list(SAMPLES) == list(FAMILIES)


# Each family's words


@EACH
@pytest.mark.parametrize("empty", [None, ""], ids=repr)
def test_a_job_under_way_has_neither_result_nor_end(api: str, empty: str | None) -> None:
    sample = SAMPLES[api]
    for word, state in sample.running.items():
        nothing = dict.fromkeys(sample.result, empty)
        job = parse_record(JOB_ID, api, sample.record(word, completeTime=None, **nothing))
        assert job == Job(JOB_ID, api, state=state, created_at="2026-01-29T07:11:40Z")  # type: ignore[arg-type]


@EACH
def test_a_job_under_way_has_no_result_even_if_its_record_has(api: str) -> None:
    sample = SAMPLES[api]
    for word in sample.running:
        job = parse_record(JOB_ID, api, sample.record(word, **sample.result))
        assert (job.urls, job.output, job.seconds, job.completed_at) == ([], None, None, None)


@EACH
def test_a_job_that_has_succeeded_has_its_files_in_order_and_its_output(api: str) -> None:
    sample = SAMPLES[api]
    job = parse_record(JOB_ID, api, sample.record(sample.success, **sample.result))
    assert job == Job(
        JOB_ID,
        api,
        state="success",
        urls=sample.urls,
        output=sample.output,
        seconds=45.5,
        created_at="2026-01-29T07:11:40Z",
        completed_at="2026-01-29T07:12:25.500000Z",
    )


@EACH
def test_a_job_that_has_failed_says_why(api: str) -> None:
    sample = SAMPLES[api]
    for word in sample.failed:
        job = parse_record(JOB_ID, api, sample.record(word, **sample.error))
        assert (job.state, job.code, job.urls, job.output) == ("failed", sample.code, [], None)
        assert (job.reason or "").startswith("it broke")
        error = job.to_error()
        assert (error.job_id, error.code) == (JOB_ID, sample.code)
        assert JOB_ID in str(error)
        assert "it broke" in str(error)


@EACH
@pytest.mark.parametrize(
    "word", ["", None, "PAUSED", "uploading", "RETRYING", "4", 4, -1, 1.5, [], {}, "success?", "no_error_yet"]
)
def test_a_word_that_nobody_knows_gives_no_job_up(api: str, word: Any) -> None:
    sample = SAMPLES[api]
    assert parse_record(JOB_ID, api, sample.record(word, **sample.result)).state == "running"


@EACH
def test_a_record_without_a_state_gives_no_job_up(api: str) -> None:
    assert parse_record(JOB_ID, api, {}).state == "running"


@pytest.mark.parametrize("word", ["SUCCESS", "Success", " success "])
def test_case_and_white_space_of_a_state_do_not_matter(word: str) -> None:
    record = {"state": word, "resultJson": json.dumps({"resultUrls": [A]})}
    assert parse_record(JOB_ID, "market", record).urls == [A]


# An announcement that failed


@pytest.mark.parametrize("api", SUNO)
@pytest.mark.parametrize("word", ["CALLBACK_EXCEPTION", "CALLBACK_FAILED", "callback_error"])
def test_an_announcement_that_failed_is_a_success_where_the_media_are_there(api: str, word: str) -> None:
    sample = SAMPLES[api]
    job = parse_record(JOB_ID, api, sample.record(word, **sample.result))
    assert (job.state, job.urls, job.output) == ("success", sample.urls, sample.output)


@pytest.mark.parametrize("api", SUNO)
@pytest.mark.parametrize("result", [None, "", {}, {"taskId": JOB_ID}], ids=repr)
def test_an_announcement_that_failed_is_no_end_where_the_media_are_not_there(api: str, result: Any) -> None:
    sample = SAMPLES[api]
    record = sample.record("CALLBACK_EXCEPTION", **dict.fromkeys(sample.result, result))
    assert parse_record(JOB_ID, api, record).state == "running"


@pytest.mark.parametrize(
    ("api", "result"),
    [
        ("suno", {"taskId": JOB_ID, "sunoData": []}),
        ("suno", {"taskId": JOB_ID, "sunoData": None}),
        ("suno", {"taskId": JOB_ID, "sunoData": [{"audioUrl": A}, {"audioUrl": ""}]}),
        ("suno", {"taskId": JOB_ID, "sunoData": [{"audioUrl": A}, {"streamAudioUrl": B}]}),
        ("suno", {"taskId": JOB_ID, "sunoData": [None]}),
        ("suno-lyrics", {"taskId": JOB_ID, "data": []}),
        ("suno-lyrics", {"taskId": JOB_ID, "data": None}),
        ("suno-wav", {"taskId": JOB_ID, "audioWavUrl": None}),
        ("suno-mp4", {"taskId": JOB_ID, "videoUrl": ""}),
        ("suno-vocal-removal", {"taskId": JOB_ID, "vocalUrl": None, "drumsUrl": ""}),
    ],
    ids=repr,
)
def test_a_part_of_the_media_is_not_all_of_them(api: str, result: Any) -> None:
    sample = SAMPLES[api]
    record = sample.record("CALLBACK_EXCEPTION", response=result)
    assert parse_record(JOB_ID, api, record).state == "running"


def test_stems_that_a_song_does_not_have_are_no_missing_media() -> None:
    stems = {"vocalUrl": A, "instrumentalUrl": B, "drumsUrl": None, "bassUrl": ""}
    record = {"successFlag": "CALLBACK_EXCEPTION", "response": stems}
    assert parse_record(JOB_ID, "suno-vocal-removal", record).urls == [A, B]


# Results


@pytest.mark.parametrize("result", [{"resultUrls": [A, B]}, json.dumps({"resultUrls": [A, B]})], ids=type)
def test_a_result_is_an_object_or_json_in_text(result: Any) -> None:
    job = market(resultJson=result)
    assert (job.urls, job.output) == ([A, B], {"resultUrls": [A, B]})


def test_a_list_of_urls_can_be_json_in_text_too() -> None:
    record = {"successFlag": 1, "response": {"resultUrls": json.dumps([A, B])}}
    assert parse_record(JOB_ID, "veo", record).urls == [A, B]


def test_a_result_without_files_is_passed_on_as_it_is() -> None:
    result = {"resultObject": {"masks": [{"box": [1, 2.5]}], "text": "5"}}
    job = market(resultJson=json.dumps(result))
    assert (job.urls, job.output) == ([], result)
    assert market(resultJson="a poem").output == "a poem"


@EACH
@pytest.mark.parametrize(
    "result", [None, "", {}, "{}", "[]", "null", '{"resultUrls": ["', {"taskId": JOB_ID}]
)
def test_a_success_without_its_result_is_an_error(api: str, result: Any) -> None:
    sample = SAMPLES[api]
    record = sample.record(sample.success, **dict.fromkeys(sample.result, result))
    with pytest.raises(KieResponseError, match=f"job {JOB_ID} has succeeded, but its record has no "):
        parse_record(JOB_ID, api, record)


@EACH
def test_a_success_without_the_field_of_its_result_is_an_error(api: str) -> None:
    sample = SAMPLES[api]
    with pytest.raises(KieResponseError, match="has succeeded, but"):
        parse_record(JOB_ID, api, sample.record(sample.success))


@pytest.mark.parametrize(
    ("api", "result"),
    [
        ("market", {"resultUrls": []}),
        ("veo", {"taskId": JOB_ID, "resultUrls": None, "originUrls": []}),
        ("suno", {"taskId": JOB_ID, "sunoData": []}),
        ("aleph", {"taskId": JOB_ID, "resultVideoUrl": "", "resultImageUrl": ""}),
    ],
)
def test_a_success_whose_result_holds_nothing_is_an_error(api: str, result: Any) -> None:
    sample = SAMPLES[api]
    record = sample.record(sample.success, **dict.fromkeys(sample.result, result))
    with pytest.raises(KieResponseError, match="has succeeded, but"):
        parse_record(JOB_ID, api, record)


@pytest.mark.parametrize(
    "url",
    ["a.png", "ftp://h/a", "//h/a", "https://", "https://h /", 5, True, {"url": A}, [A], "s3://b/a"],
    ids=repr,
)
def test_a_url_that_is_none_does_not_cost_the_others(url: Any) -> None:
    job = market(resultJson={"resultUrls": [A, url, f" {B} "]})
    assert (job.urls, job.output["resultUrls"][1]) == ([A, B], url)
    # Without any other it is an error, which does not show it.
    said = f"^the result of job {JOB_ID} has no URL, but something in its place$"
    with pytest.raises(KieResponseError, match=said):
        market(resultJson={"resultUrls": [url]})


def test_gaps_between_urls_are_left_out() -> None:
    assert market(resultJson={"resultUrls": [A, None, "", B]}).urls == [A, B]


def test_what_is_not_json_for_everyone_does_not_get_into_a_result() -> None:
    """Masks come with NaN in their text, from Python for example; no database takes that."""
    job = market(resultJson='{"resultObject": {"scores": [NaN, Infinity, 0.5]}}')
    assert job.output == {"resultObject": {"scores": [None, None, 0.5]}}
    json.dumps(job.to_dict(), allow_nan=False)


# Numbers and times


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"failCode": None}, None),
        ({"failCode": ""}, None),
        ({}, None),
        ({"failCode": 500}, 500),
        ({"failCode": "500"}, 500),
        ({"failCode": 501.0}, 501),
        ({"failCode": None, "errorCode": 400}, 400),
        ({"failCode": "NSFW"}, None),
        ({"failCode": [500]}, None),
        ({"failCode": True}, None),
    ],
)
def test_the_code_of_a_failure_is_null_a_number_or_text(fields: dict[str, Any], code: int | None) -> None:
    job = market("fail", **fields)
    assert (job.state, job.code) == ("failed", code)
    job.to_error()


def test_a_code_that_is_a_word_is_told_as_a_reason() -> None:
    assert market("fail", failCode="NSFW", failMsg="refused").reason == "refused, NSFW"


def test_the_state_is_told_where_it_is_the_reason() -> None:
    job = parse_record(JOB_ID, "suno", {"status": "SENSITIVE_WORD_ERROR", "errorMessage": ""})
    assert job.reason == "SENSITIVE_WORD_ERROR"
    assert not job.to_error().transient


def test_no_reason_is_told_as_none() -> None:
    assert "no reason given" in str(market("fail").to_error())


@pytest.mark.parametrize(
    ("cost", "created", "completed", "seconds"),
    [
        (45, 1769670700000, 1769670745500, 45.0),
        (45500, 1769670700000, 1769670745500, 45.5),
        ("45", 1769670700000, 1769670745500, 45.0),
        # Short, where seconds and milliseconds look alike.
        (1500, 1769670700000, 1769670701500, 1.5),
        (50, 1769670700000, 1769670700050, 0.05),
        # Long ones; the queue before does not count for kie.ai.
        (300, 1769670700000, 1769671700000, 300.0),
        (300000, 1769670700000, 1769671700000, 300.0),
        (0, 1769670700000, 1769670745500, 45.5),
        (-1, 1769670700000, 1769670745500, 45.5),
        (None, 1769670700000, 1769670745500, 45.5),
        ("", "1769670700000", "1769670745500", 45.5),
        (45, None, None, 45.0),
        (45, 1769670745500, 1769670700000, 45.0),
        (None, None, None, None),
        (None, 1769670745500, 1769670700000, None),
        (True, None, [], None),
        ("soon", "yesterday", "today", None),
        (float("nan"), float("inf"), 10**400, None),
    ],
)
def test_the_time_it_took_is_read_in_seconds_and_milliseconds(
    cost: Any, created: Any, completed: Any, seconds: float | None
) -> None:
    assert market(costTime=cost, createTime=created, completeTime=completed).seconds == seconds


@pytest.mark.parametrize(
    "moment", [None, "", 0, -1, 1769670700, 10**20, "2026-01-29", True, float("nan"), {}]
)
def test_what_is_no_time_is_none(moment: Any) -> None:
    job = market(createTime=moment, completeTime=moment)
    assert (job.created_at, job.completed_at) == (None, None)


@pytest.mark.parametrize("state", ["generating", "success", "fail"])
@pytest.mark.parametrize(
    ("consumed", "credits_"),
    [(82, 82.0), (4.5, 4.5), ("4.5", 4.5), (0, 0.0), (None, None), ("", None), (True, None), ([1], None)],
)
def test_credits_are_what_the_record_says_a_hold_too(
    state: str, consumed: Any, credits_: float | None
) -> None:
    assert market(state, creditsConsumed=consumed).credits == credits_


@pytest.mark.parametrize(("given", "model"), [("sora-2", "sora-2"), ("", None), (None, None), (5, None)])
def test_the_model_is_the_records(given: Any, model: str | None) -> None:
    assert market(model=given).model == model


# What is no record of this job


@pytest.mark.parametrize("data", ["", "text", 5, True, [], [{"taskId": JOB_ID}]], ids=repr)
def test_what_is_no_object_is_no_record(data: Any) -> None:
    with pytest.raises(KieResponseError, match=f"the record of job {JOB_ID} is no object but "):
        parse_record(JOB_ID, "market", data)


@pytest.mark.parametrize("other", ["another", JOB_ID.upper(), 5, [JOB_ID], {}, False], ids=repr)
def test_the_record_of_another_job_is_an_error_that_does_not_show_it(other: Any) -> None:
    with pytest.raises(
        KieResponseError, match=f"^asked for the record of job {JOB_ID}, got that of another$"
    ):
        market(taskId=other)


@pytest.mark.parametrize("same", [None, "", JOB_ID])
def test_a_record_need_not_repeat_its_id(same: str | None) -> None:
    assert market(taskId=same).job_id == JOB_ID


# What is made of a job


def test_the_dict_has_the_promised_keys_and_no_failure() -> None:
    job = market(creditsConsumed=4.5, model="sora-2", costTime=45, createTime=1769670700000)
    assert json.loads(json.dumps(job.to_dict())) == {
        "job_id": JOB_ID,
        "api": "market",
        "model": "sora-2",
        "state": "success",
        "urls": [A],
        "output": {"resultUrls": [A]},
        "credits": 4.5,
        "seconds": 45.0,
        "created_at": "2026-01-29T07:11:40Z",
        "completed_at": None,
    }


@pytest.mark.parametrize(
    ("code", "reason", "transient"),
    [
        (500, "internal error, please try again later.", True),
        (501, "generation failed", True),
        (531, "refunded", True),
        (408, "timed out", True),
        (429, "too many", True),
        (430, "too many", True),
        (455, "maintenance", True),
        (None, None, True),
        (0, "", True),
        (400, "bad", False),
        (402, "out of credits", False),
        (422, "bad", False),
        (433, "cap", False),
        (451, "could not fetch", False),
        (500, "Your prompt was flagged as unsafe", False),
        (500, "image_url is required", False),
        (None, "Content violates the policy", False),
    ],
)
def test_a_failure_may_pass_unless_the_jobs_own_input_is_to_blame(
    code: int | None, reason: str | None, transient: bool
) -> None:
    error = Job(JOB_ID, state="failed", code=code, reason=reason, credits=4.5).to_error()
    assert (error.transient, error.airflow_may_retry) == (transient, transient)
    assert (error.job_id, error.credits, error.code, error.said_by_kie) == (JOB_ID, 4.5, code, True)


def test_a_reason_is_one_short_line_without_links() -> None:
    job = market("fail", failMsg="cannot\nread " + f"{A}?X-Amz-Signature=5ec2e7 " + "x" * 5000)
    assert job.reason is not None
    assert len(job.reason) <= 300
    assert job.reason.isprintable()
    assert "5ec2e7" not in job.reason


@pytest.mark.parametrize(
    ("answered", "kept"),
    [
        (str(2**70), str(2**70)),
        (str(-(2**63)), str(-(2**63))),
        (str(2**63 - 1), 2**63 - 1),
        ("1e999", None),
        (r'"half \ud83d"', "half ?"),
        (r'{"\ud83d": [1, true, 0.5, null, "\ud83d\ude00"]}', {"?": [1, True, 0.5, None, "\U0001f600"]}),
    ],
)
@pytest.mark.parametrize("in_text", [True, False])
def test_what_xcom_cannot_carry_does_not_cost_the_result(answered: str, kept: Any, in_text: bool) -> None:
    result = f'{{"resultUrls": ["https://cdn.example/a.png"], "more": {answered}}}'
    data = {"state": "success", "resultJson": result if in_text else json.loads(result)}
    job = parse_record("0123", "market", data)
    assert job.output["more"] == kept
    assert type(job.output["more"]) is type(kept)
    json.dumps(job.to_dict(), allow_nan=False).encode()


@pytest.mark.parametrize("depth", [DEPTH, DEPTH + 1, 900])
def test_a_result_without_a_bottom_is_cut_there_and_does_not_cost_its_files(depth: int) -> None:
    # The first of them is the result itself.
    nested = json.loads("[" * (depth - 1) + "5" + "]" * (depth - 1))
    job = market(resultJson={"resultUrls": [A], "more": nested})
    assert job.urls == [A]
    value, found = job.output["more"], 1
    while isinstance(value, list):
        value, found = value[0], found + 1
    assert (value, found) == (5 if depth == DEPTH else None, DEPTH)
