"""Where an answer ends is found however its bytes arrive."""

from __future__ import annotations

import pytest

from airflow_provider_kie.client.http.framing import AnswerEnd

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes"
ANSWERS = {
    "plain": PLAIN,
    "a part": PLAIN.replace(b"200 OK", b"206 Partial Content"),
    "refused": PLAIN.replace(b"200 OK", b"429 Too Many Requests"),
    "without a body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbytes\r\n0\r\n\r\n",
    "after a hint": b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + PLAIN,
    "two equal lengths": PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
    "bare line feeds": PLAIN.replace(b"\r\n", b"\n"),
}


@pytest.fixture(params=ANSWERS)
def answer(request: pytest.FixtureRequest) -> bytes:
    return ANSWERS[request.param]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_bytes_of_an_answer_are_its_own(answer: bytes, size: int) -> None:
    end = AnswerEnd()
    pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
    assert [end.surplus(piece) for piece in pieces] == [0] * len(pieces)


def test_what_comes_after_it_is_beyond(answer: bytes) -> None:
    end = AnswerEnd()
    assert [end.surplus(answer), end.surplus(b"next")] == [0, 4]


def test_an_answer_in_one_piece_with_the_next_ends_where_it_ends(answer: bytes) -> None:
    assert AnswerEnd().surplus(answer + b"next") == 4


def test_each_request_expects_an_answer_anew(answer: bytes) -> None:
    end = AnswerEnd()
    for _ in range(3):
        end.expect()
        assert end.surplus(answer) == 0


@pytest.mark.parametrize("garbage", [b"", b"not http\r\n\r\n", b"x" * 200_000])
def test_what_is_no_answer_is_left_to_httpcore(garbage: bytes) -> None:
    assert AnswerEnd().surplus(garbage) == 0
