"""Many files in one task, some of which fail: the others arrive, and the error says which did not."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from airflow_provider_kie._compat import AirflowFailException
from airflow_provider_kie.client.errors import KieBatchError
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator

from .server import FILE, HALF, Reply, envelope, stored
from .trial import Trial

WHOLE = Reply()
CUT = Reply(sent=HALF)


@dataclass(frozen=True)
class Case:
    """
    A batch of files, each on a host of its own.

    :param name: The fault.
    :param hosts: What the host of each file does.
    :param lost: The numbers of the files that cannot be had.
    """

    name: str
    hosts: tuple[tuple[Reply, ...], ...]
    lost: tuple[int, ...] = ()


def _without_airflows(error: Exception | None) -> Exception | None:
    """Give the error itself, where Airflow is told besides that no retry can mend it."""
    cause = error.__context__ if isinstance(error, AirflowFailException) else error
    return cause if isinstance(cause, Exception) else error


GOOD = (WHOLE,)
GONE = (Reply(status=404, body=b""),)
DOWNLOADS = [
    Case("all well", (GOOD,) * 9),
    Case("all cut once", ((CUT, WHOLE),) * 9),
    Case("one gone", (GOOD, GOOD, GONE, GOOD, GOOD), (2,)),
    Case(
        "the first refused and the last failing",
        ((Reply(status=403, body=b""),), GOOD, GOOD, (Reply(status=503, body=b""),) * 9),
        (0, 3),
    ),
    Case("one reset for ever", (GOOD, (Reply(sent=0, then="reset"),) * 9, GOOD), (1,)),
    Case("one silent for ever", (GOOD, (Reply(head=0, then="silence"),) * 9, GOOD), (1,)),
    Case("one not there", (GOOD, (), GOOD), (1,)),
    Case("all gone", (GONE,) * 4, (0, 1, 2, 3)),
    Case("one said 429", (GOOD, (Reply(status=429, body=b"", headers={"Retry-After": "0.1"}), WHOLE), GOOD)),
    Case(
        "one redirected for ever",
        (GOOD, (Reply(status=302, body=b"", headers={"Location": "/again"}),) * 40, GOOD),
        (1,),
    ),
]


@pytest.mark.parametrize("case", DOWNLOADS, ids=[case.name.replace(" ", "-") for case in DOWNLOADS])
def test_one_bad_download_does_not_stop_the_others(case: Case, trial: Trial) -> None:
    api = trial.host(trusted=True)
    hosts = [trial.host(replies) for replies in case.hosts]
    trial.connect(api.url, api.url, timeout=0.5)
    # The same name everywhere: the names must not collide either.
    urls = [f"{host.url}/store/a.bin?X-Amz-Signature={trial.signature}" for host in hosts]
    operator = KieDownloadOperator(
        task_id="faults", file_url=urls, destination=f"{trial.folder}/new/", sign="never"
    )
    results, error = trial.play(lambda _: operator.execute({}))
    error = _without_airflows(error)
    trial.judge_ending(error, KieBatchError if case.lost else None, within=8.0)
    folder = trial.folder / "new"
    arrived = [path.read_bytes() for path in folder.iterdir() if path.suffix == ".bin"]
    if strange := [path.name for path in folder.iterdir() if path.suffix != ".bin"]:
        trial.lose("leftover file", f"{strange}")
    if len(arrived) != len(hosts) - len(case.lost):
        trial.lose("other ending than promised", f"{len(arrived)} files of {len(hosts)} arrived")
    if any(content != FILE for content in arrived):
        trial.lose("wrong byte", "in a file of the batch")
    if results is not None and len(results) != len(hosts):
        trial.lose("other ending than promised", f"{len(results)} results of {len(hosts)}")
    for number, host in enumerate(hosts):
        shown = f"{host.url}/store/a.bin"
        if error is not None and (shown in str(error)) != (number in case.lost):
            trial.lose("other ending than promised", f"the error does not tell the fate of file {number}")
        trial.judge_requests(host, 6 if number in case.lost else 3, or_fewer=True)
    trial.judge_file(None, FILE)
    trial.judge_leftovers(also=("new",))
    trial.judge_secrets()
    trial.close()


UPLOADS = [
    ("all well", (stored(),) * 4, 0),
    ("one reset during its body", (Reply(head=0, then="reset", read=9), *(stored(),) * 4), 0),
    ("one refused", (Reply(body=envelope(None, 413, "too large")), *(stored(),) * 3), 1),
    (
        "all said to wait once",
        (Reply(status=429, body=b"", headers={"Retry-After": "0.1"}),) * 4 + (stored(),) * 4,
        0,
    ),
    ("all refused", (Reply(body=envelope(None, 422, "no")),) * 4, 4),
]


@pytest.mark.parametrize(
    ("name", "replies", "lost"), UPLOADS, ids=[name.replace(" ", "-") for name, *_ in UPLOADS]
)
def test_one_bad_upload_does_not_stop_the_others(
    name: str, replies: tuple[Reply, ...], lost: int, trial: Trial
) -> None:
    api, upload = trial.host(trusted=True), trial.host(replies, trusted=True)
    trial.words |= {"size": str(len(FILE)), "files": upload.url}
    trial.connect(api.url, upload.url)
    sources = [trial.folder.parent / f"{number}.bin" for number in range(4)]
    for source in sources:
        source.write_bytes(FILE)
    operator = KieUploadOperator(
        task_id="faults", source=[str(source) for source in sources], upload_path="faults", method="stream"
    )
    results, error = trial.play(lambda _: operator.execute({}))
    error = _without_airflows(error)
    trial.judge_ending(error, KieBatchError if lost else None)
    if error is not None and sum(str(source) in str(error) for source in sources) != lost:
        trial.lose("other ending than promised", f"{error}")
    if results is not None and [result["source"] for result in results] != [str(path) for path in sources]:
        trial.lose("other ending than promised", "the results are not in the order given")
    whole = [request for request in upload.requests if request.file == FILE]
    if len(whole) < 4:
        trial.lose("wrong byte", f"{len(whole)} files arrived whole")
    if results is not None:
        json.dumps(results)
    trial.judge_requests(upload, len(replies))
    trial.judge_file(None, FILE)
    trial.judge_leftovers()
    trial.judge_secrets()
    trial.close()
