"""What a test can do to the simulated kie.ai, and see of it."""

import pytest

from airflow_provider_kie.client.errors import KieError, KieInDoubtError
from airflow_provider_kie.hooks.kie import KieHook


def test_what_a_test_can_see(kie_simulator, tmp_path):
    (tmp_path / "fox.png").write_bytes(b"a fox")
    KieHook().upload_file(tmp_path / "fox.png", "my/files")

    (upload,) = kie_simulator.uploads.values()  # by path, with size and sha256
    assert upload.size == 5
    assert [request.status for request in kie_simulator.requests] == [200]  # what it was asked, and answered
    assert len(kie_simulator.requests_to("file-base64-upload")) == 1  # one call only


def test_what_a_test_can_change(kie_simulator):
    kie = kie_simulator
    kie.credits = 0  # also while a sensor waits
    url = kie.add_generated_file("result.mp4", b"...")  # as if kie.ai had generated it
    kie.expire_links()  # signed links so far are refused
    kie.expire_uploads()  # uploads so far are gone

    assert KieHook().get_download_url(url) != url


def test_what_can_go_wrong(kie_simulator):
    kie = kie_simulator
    kie.fail_next("credit", code=429, retry_after=1)  # rate limit, once
    kie.fail_next("credit", code=455, times=3)  # maintenance, three times
    kie.fail_next("credit", html=True)  # a gateway's page, HTTP 502
    kie.fail_next("file-stream-upload", status=503)  # HTTP 503 with kie.ai's JSON
    kie.fail_next("file", drop_after=100_000)  # cut off after 100,000 bytes
    kie.fail_next("file", chunk_delay=0.1)  # a slow download
    kie.fail_next("download-url", drop_after=-1)  # no answer at all


def test_paid_once(kie_simulator):
    kie = kie_simulator
    kie.add_model("google/nano-banana", seconds=60, credits=4, files={"fox.png": b"..."})
    job_id = KieHook().submit_job({"prompt": "a fox"}, model="google/nano-banana")
    kie.finish_jobs()  # all that run end now

    assert KieHook().get_job(job_id).state == "success"
    assert [job.charged for job in kie.jobs] == [4]
    assert kie.credits == 96


def test_models(kie_simulator):
    kie = kie_simulator
    kie.add_model("veo", credits=38, hold=82)  # a family: its api stands for the model
    kie.add_model("suno-lyrics", output={"text": "..."})
    kie.add_model("a/model", fail=(422, "a dead URL"))  # ends as failed, credits are given back
    kie.add_model("a/model", unknown_seconds=30)  # its record appears late
    kie.add_model("a/model", required={"seconds": int})  # "5" is refused

    with pytest.raises(KieError):
        KieHook().submit_job({"seconds": "5"}, model="a/model")


@pytest.mark.parametrize(
    ("fault", "jobs"),
    [
        ({"accept": True, "drop_after": -1}, 1),  # accepted and paid, but never answered
        ({"accept": True, "status": 502}, 1),  # accepted and paid, answered by a gateway
        ({"drop_after": -1}, 0),  # never arrived
    ],
)
def test_a_submission_in_doubt_is_not_repeated(kie_simulator, fault, jobs):
    kie_simulator.fail_next("createTask", **fault)

    with pytest.raises(KieInDoubtError):
        KieHook().submit_job({"prompt": "a fox"}, model="google/nano-banana")
    assert len(kie_simulator.jobs) == jobs


def test_what_can_go_wrong_with_jobs(kie_simulator):
    kie = kie_simulator
    kie.fail_next("createTask", delay=60)  # accepted and paid, answered too late
    kie.fail_next("createTask", code=429)  # refused
    kie.fail_next("recordInfo", code=422, msg="recordInfo is null", times=3)


def test_a_chat(kie_simulator):
    kie_simulator.add_chat_model("a-model", text="Red ones.", credits=0.5)

    assert KieHook().chat("Which foxes?", model="a-model").text == "Red ones."
    assert [chat.charged for chat in kie_simulator.chats] == [0.5]  # paid once
    assert kie_simulator.chats[0].messages[-1]["content"] == "Which foxes?"


def test_models_that_chat(kie_simulator):
    kie = kie_simulator
    kie.add_chat_model("a-model", tool_calls=[("count", {"what": "foxes"})])  # until their result is sent
    kie.add_chat_model("a-model", text="Red", finish_reason="length")
    kie.add_chat_model("a-model", seconds=30)  # thinks before it answers


def test_what_can_go_wrong_with_chats(kie_simulator):
    kie = kie_simulator
    kie.add_chat_model("a-model", fail=433)  # an error instead of an answer
    kie.add_chat_model("a-model", fail=500, fail_after=3)  # an error in the middle of a stream
    kie.add_chat_model("a-model", without=["done"])  # a stream that just ends
    kie.add_chat_model("a-model", without=["finish_reason", "usage", "done"])
    kie.add_chat_model("a-model", without=["usage"])  # the costs are not told

    kie.fail_next("chat", drop_after=500)  # cut off after 500 bytes, billed
    kie.fail_next("chat", accept=True, drop_after=-1)  # billed, but never answered
    kie.fail_next("chat", accept=True, status=502)  # billed, answered by a gateway
    kie.fail_next("chat", drop_after=-1)  # never arrived
    kie.fail_next("chat", chunk_delay=1)  # a second between the events of a stream
