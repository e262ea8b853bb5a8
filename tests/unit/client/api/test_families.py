"""Where each family takes its jobs and keeps their records, and what the body of a submission is."""

from __future__ import annotations

import copy
import dataclasses
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_kie.client.api.families import FAMILIES, MARKET
from airflow_provider_kie.client.api.jobs import NO_CALLBACK, family_of, get_job, submit_job

OTHERS = [api for api in FAMILIES if api != MARKET]
WITH_MODEL = [api for api in OTHERS if FAMILIES[api].has_model]
WITHOUT_MODEL = [api for api in OTHERS if not FAMILIES[api].has_model]
SUNO = [api for api in OTHERS if api.startswith("suno")]
CALLBACK = "https://hooks.example/kie"
INPUT: dict[str, Any] = {
    "prompt": "a song",
    "duration": "5",
    "seed": 5,
    "strength": 0.5,
    "hd": True,
    "negative": None,
    "files": [{"url": "https://h/a.png", "at": [0, "0"]}],
}
MUSIC = "generate/record-info"
PATHS = {
    "market": ("jobs/createTask", "jobs/recordInfo"),
    "runway": ("runway/generate", "runway/record-detail"),
    "runway-extend": ("runway/extend", "runway/record-detail"),
    "aleph": ("aleph/generate", "aleph/record-info"),
    "suno": ("generate", MUSIC),
    "suno-extend": ("generate/extend", MUSIC),
    "suno-upload-cover": ("generate/upload-cover", MUSIC),
    "suno-upload-extend": ("generate/upload-extend", MUSIC),
    "suno-add-instrumental": ("generate/add-instrumental", MUSIC),
    "suno-add-vocals": ("generate/add-vocals", MUSIC),
    "suno-cover": ("suno/cover/generate", "suno/cover/record-info"),
    "suno-lyrics": ("lyrics", "lyrics/record-info"),
    "suno-wav": ("wav/generate", "wav/record-info"),
    "suno-mp4": ("mp4/generate", "mp4/record-info"),
    "suno-vocal-removal": ("vocal-removal/generate", "vocal-removal/record-info"),
    "suno-midi": ("midi/generate", "midi/record-info"),
    "veo": ("veo/generate", "veo/record-info"),
    "veo-extend": ("veo/extend", "veo/record-info"),
    "4o-image": ("gpt4o-image/generate", "gpt4o-image/record-info"),
    "flux-kontext": ("flux/kontext/generate", "flux/kontext/record-info"),
}


def body_of(input: Any = INPUT, **more: Any) -> dict[str, Any]:
    """Give the body of a submission."""
    json = submit_job(input, **more).json
    assert json is not None
    return dict(json)


def test_there_is_no_family_more_or_less() -> None:
    assert list(FAMILIES) == list(PATHS)


@pytest.mark.parametrize("api", FAMILIES)
def test_each_familys_paths_are_the_documented_ones(api: str) -> None:
    submit, record = (f"/api/v1/{path}" for path in PATHS[api])
    call = submit_job(INPUT, model="a-model" if FAMILIES[api].has_model else None, api=api)
    assert (call.host, call.method, call.path, call.repeatable) == ("api", "POST", submit, False)
    assert (call.params, call.fields, call.file, call.explain) == (None, None, None, None)
    look = get_job("0123", api=api)
    assert (look.host, look.method, look.path, look.repeatable) == ("api", "GET", record, True)
    assert (look.params, look.json) == ({"taskId": "0123"}, None)


def test_a_family_cannot_be_changed() -> None:
    assert isinstance(FAMILIES, MappingProxyType)
    with pytest.raises(dataclasses.FrozenInstanceError):
        family_of("veo").submit = "/elsewhere"  # type: ignore[misc]


# The body


def test_markets_body_has_the_input_in_a_place_of_its_own() -> None:
    assert body_of(model="m") == {"model": "m", "input": INPUT}
    assert body_of(model="m", callback_url=CALLBACK) == {
        "model": "m",
        "input": INPUT,
        "callBackUrl": CALLBACK,
    }
    assert body_of({}, model="m") == {"model": "m", "input": {}}


def test_in_markets_input_nothing_is_special() -> None:
    given = {"model": "its own", "callBackUrl": 5, "input": {}}
    assert body_of(given, model="m", callback_url=CALLBACK)["input"] == given


@pytest.mark.parametrize("api", OTHERS)
def test_other_bodies_are_the_input_as_it_is_documented(api: str) -> None:
    placeholder = {"callBackUrl": NO_CALLBACK} if api in SUNO else {}
    assert body_of(api=api) == INPUT | placeholder
    assert body_of(api=api, callback_url=CALLBACK) == INPUT | {"callBackUrl": CALLBACK}
    own = INPUT | {"callBackUrl": "https://own.example/"}
    assert body_of(own, api=api) == own
    assert body_of(own, api=api, callback_url="https://own.example/") == own


@pytest.mark.parametrize("api", WITH_MODEL)
def test_the_model_goes_into_the_body_where_the_family_has_models(api: str) -> None:
    assert body_of(api=api, model="m")["model"] == "m"
    assert body_of(INPUT | {"model": "m"}, api=api, model="m")["model"] == "m"
    assert body_of(INPUT | {"model": "m"}, api=api)["model"] == "m"
    assert "model" not in body_of(api=api)


@pytest.mark.parametrize("api", FAMILIES)
def test_no_value_changes_on_the_way_and_the_callers_dict_does_not_either(api: str) -> None:
    before = copy.deepcopy(INPUT)
    body = body_of(api=api, model="m" if api == MARKET else None, callback_url=CALLBACK)
    sent = body["input"] if api == MARKET else body
    assert before == INPUT
    for name, value in INPUT.items():
        assert sent[name] == value
        assert type(sent[name]) is type(value)
    assert list(sent)[: len(INPUT)] == list(INPUT)
    sent["files"][0]["at"].append(1)
    assert before == INPUT


def test_the_placeholder_leads_nowhere() -> None:
    assert NO_CALLBACK == "https://callback.invalid/"


# What is refused before anything is sent


@pytest.mark.parametrize("api", ["", "Market", "suno ", "sora", None, 5, ["market"]], ids=repr)
def test_an_unknown_api_is_told_which_are_known(api: Any) -> None:
    for call in (lambda: submit_job(INPUT, model="m", api=api), lambda: get_job("0123", api=api)):
        with pytest.raises(ValueError, match=r"^api must be one of market, runway, ") as caught:
            call()
        assert all(name in str(caught.value) for name in FAMILIES)
        assert repr(api) in str(caught.value)


def test_market_without_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^model is missing: Market has many"):
        submit_job(INPUT)


@pytest.mark.parametrize("api", ["market", "veo", "suno"])
@pytest.mark.parametrize("model", ["", " ", "\n", 5, True, ["m"], b"m"], ids=repr)
def test_a_model_that_is_none_is_refused(model: Any, api: str) -> None:
    with pytest.raises(ValueError, match=r"^model must be the name of a model, not "):
        submit_job(INPUT, model=model, api=api)


def test_a_model_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^model cannot be sent"):
        submit_job(INPUT, model="m\ud800")


@pytest.mark.parametrize("api", WITHOUT_MODEL)
def test_a_model_is_refused_where_the_family_has_none(api: str) -> None:
    with pytest.raises(ValueError, match=f"^api '{api}' has no choice of models: leave model='m' out$"):
        submit_job(INPUT, model="m", api=api)


@pytest.mark.parametrize("api", WITH_MODEL)
@pytest.mark.parametrize("other", ["another", "M", "", None, 5])
def test_two_models_are_refused(api: str, other: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^input has another model than the argument: leave one of them out$"
    ):
        submit_job(INPUT | {"model": other}, model="m", api=api)


@pytest.mark.parametrize("api", OTHERS)
def test_two_callback_urls_are_refused_and_neither_is_shown(api: str) -> None:
    given = INPUT | {"callBackUrl": "https://other.example/?token=s3cret"}
    with pytest.raises(ValueError, match=r"^input has another callBackUrl than the argument") as caught:
        submit_job(given, api=api, callback_url=f"{CALLBACK}?token=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("api", FAMILIES)
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"input": None}, "^input must be a dict"),
        ({"input": "{}"}, "^input must be a dict"),
        ({"input": {"at": b""}}, r"^input\['at'\] is a bytes"),
        ({"callback_url": "http://h/"}, "^callback_url must be an https URL"),
        ({"callback_url": ""}, "^callback_url must be an https URL"),
        ({"callback_url": "https://me:s3cret@h/"}, "^callback_url must not hold credentials"),
    ],
)
def test_what_is_unusable_is_refused_by_name(api: str, given: dict[str, Any], named: str) -> None:
    model = "m" if api == MARKET else None
    with pytest.raises(ValueError, match=named):
        submit_job(**{"input": INPUT, "model": model, "api": api, **given})


@pytest.mark.parametrize("job_id", ["", " ", "a/b", "a&taskId=b", None, 5], ids=repr)
def test_a_job_id_that_is_none_is_refused(job_id: Any) -> None:
    with pytest.raises(ValueError, match=r"^job_id must be the id"):
        get_job(job_id)
