"""Every family of models, from the submission to the result: our client and the simulator read alike."""

from __future__ import annotations

import pytest

from airflow_provider_kie.client.api.families import FAMILIES
from airflow_provider_kie.client.errors import KieJobFailedError, KieJobNotFoundError
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator

INPUT = {"prompt": "a cat", "duration": 5, "quality": "720p", "loud": True, "taskId": "0" * 32}


def submit(api: str) -> str:
    model = "any" if FAMILIES[api].has_model else None
    return KieHook().submit_job(INPUT, model=model, api=api)


@pytest.fixture(autouse=True)
def _account(kie: KieSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())
    for name in ("any", *FAMILIES):
        kie.add_model(name, seconds=600)


@pytest.mark.parametrize("api", FAMILIES)
def test_each_family_gives_what_was_paid_for(api: str, kie: KieSimulator) -> None:
    job_id = submit(api)
    running = KieHook().get_job(job_id, api=api)
    assert running.state in ("waiting", "running")
    assert (running.urls, running.output, running.seconds) == ([], None, None)
    kie.finish_jobs()
    job = KieHook().get_job(job_id, api=api)
    (paid,) = kie.jobs
    assert (job.job_id, job.api, job.state) == (paid.job_id, api, paid.state)
    assert job.urls == list(paid.urls)
    assert job.urls or api in ("suno-lyrics", "suno-midi")
    assert job.output
    assert paid.input == INPUT
    assert job.credits in (None, paid.charged)
    assert job.created_at


@pytest.mark.parametrize("api", FAMILIES)
def test_each_family_says_why_a_job_failed(api: str, kie: KieSimulator) -> None:
    kie.add_model("any", fail=(500, "internal error, please try again later."))
    kie.add_model(api, fail=(500, "internal error, please try again later."))
    job_id = submit(api)
    kie.finish_jobs()
    job = KieHook().get_job(job_id, api=api)
    assert (job.state, job.code, job.urls) == ("failed", 500, [])
    error = job.to_error()
    assert (type(error), error.job_id, error.transient) == (KieJobFailedError, job_id, True)
    assert "internal error" in str(error)


@pytest.mark.parametrize("api", FAMILIES)
def test_a_job_of_another_family_is_not_found_and_the_error_says_where_it_was_looked_for(
    api: str, kie: KieSimulator
) -> None:
    job_id = submit("veo" if api == "market" else "market")
    with pytest.raises(KieJobNotFoundError, match=f"'{api}'"):
        KieHook().get_job(job_id, api=api)
