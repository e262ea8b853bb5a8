"""The routes of paid jobs: submissions and records of every family."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_kie.simulator.answers import api_error, api_success
from airflow_provider_kie.simulator.bodies import has_type, read_json
from airflow_provider_kie.simulator.callbacks import Courier
from airflow_provider_kie.simulator.families import FAMILIES
from airflow_provider_kie.simulator.jobs import CreationRefused, Model, SimulatedJob, new_job_id
from airflow_provider_kie.simulator.records import record_of
from airflow_provider_kie.simulator.state import State

PREFIX = "/api/v1/"
SUBMIT_PATHS = frozenset(PREFIX + family.submit for family in FAMILIES.values())
RECORD_PATHS = frozenset(PREFIX + family.record for family in FAMILIES.values())
MISSING = "This field is required"
Check = Callable[[Request], Awaitable[None]]


def add_job_routes(app: FastAPI, state: State, check: Check) -> None:
    """
    Add the routes of every family; plain ones, because FastAPI's take ten times as long to make.

    :param app: the API host.
    :param state: what the routes read and change.
    :param check: lets only requests with the right key through.
    """
    courier = Courier(state)
    for api, family in FAMILIES.items():
        submit = partial(_submit, state, check, courier, api)
        app.add_route(PREFIX + family.submit, submit, methods=["POST"])
    for path in RECORD_PATHS:
        app.add_route(path, partial(_record, state, check, path), methods=["GET"])


async def _submit(state: State, check: Check, courier: Courier, api: str, request: Request) -> Response:
    await check(request)
    body = await read_json(request, unreadable_body, unreadable=422)
    try:
        name, given, callback_url = read_body(api, body)
        model = state.ledger.model(api, name)
        check_input(given, model)
        job = SimulatedJob(new_job_id(), api, name, given, callback_url, model.held, time.time())
        files = FAMILIES[api].files if model.files is None else model.files
        state.ledger.accept(job, model, lambda: tuple(state.generate(*file) for file in files))
    except CreationRefused as refusal:
        return api_error(refusal.code, refusal.msg)
    courier.follow(job)
    record_id = {"recordId": job.job_id} if api == "market" else {}
    return api_success({"taskId": job.job_id, **record_id})


async def _record(state: State, check: Check, path: str, request: Request) -> Response:
    await check(request)
    found = state.ledger.find(request.query_params.get("taskId", ""))
    if found is None or not _is_known(*found, path):
        market = path == PREFIX + FAMILIES["market"].record
        return api_error(422, "recordInfo is null") if market else api_success(None)
    return api_success(record_of(FAMILIES[found[0].api], *found))


def _is_known(job: SimulatedJob, model: Model, path: str) -> bool:
    right_family = PREFIX + FAMILIES[job.api].record == path
    return right_family and time.time() >= job.submitted_at + model.unknown_seconds


def unreadable_body(code: int) -> Response:
    """
    Build the answer to a body that cannot be read.

    :param code: kie.ai's code.
    :return: the answer.
    """
    # invented: the code and the words.
    return api_error(code, "The request body is not valid JSON" if code == 422 else None)


def read_body(api: str, body: Mapping[str, Any]) -> tuple[str | None, dict[str, Any], str | None]:
    """
    Take a submission apart.

    :param api: the family.
    :param body: the request's JSON.
    :return: model, input and callback URL.
    :raises CreationRefused: with code 500, as for bad parameters, when one of them is unusable.
    """
    name, callback_url = body.get("model"), body.get("callBackUrl")
    given = body.get("input", {})
    if api != "market":
        given = {key: value for key, value in body.items() if key not in ("model", "callBackUrl")}
    # invented: which words go with which of these.
    if api == "market" and name in (None, ""):
        raise CreationRefused(500, f"model: {MISSING}")
    for key, value, kind in (
        ("model", name, str),
        ("callBackUrl", callback_url, str),
        ("input", given, dict),
    ):
        if value is not None and type(value) is not kind:
            raise CreationRefused(500, wrong_type(key))
    # invented: the code and the words.
    if api.startswith("suno") and not callback_url:
        raise CreationRefused(422, "Please enter callBackUrl.")
    if not given:
        raise CreationRefused(500, "prompt is required")
    return name, given, callback_url


def wrong_type(key: str) -> str:
    """
    Give the message for a value of another JSON type than kie.ai's.

    :param key: the field.
    :return: the message.
    """
    return f"{key} is not within the range of allowed options"


def check_input(given: Mapping[str, Any], model: Model) -> None:
    """
    Check what a model requires of its input.

    :param given: the input.
    :param model: the model.
    :raises CreationRefused: with code 500 for a missing field, or another JSON type: "5" is not 5.
    """
    for key, kind in model.required.items():
        if given.get(key) in (None, ""):
            raise CreationRefused(500, f"{key}: {MISSING}")
        if not has_type(given[key], kind):
            raise CreationRefused(500, wrong_type(key))
