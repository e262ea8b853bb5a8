"""Whatever a name is made from, it is safe to write, to send and to show."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_provider_kie.client.arguments import clean_file_name, clean_upload_path
from airflow_provider_kie.client.transfer.upload import unique_file_name
from airflow_provider_kie.client.urls import NAME_LIMIT, file_name_of, is_http_url, without_query
from airflow_provider_kie.files.download import distinct_names

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Long without many draws, which would cost most of the time.
long = st.builds(
    lambda piece, times, end: piece * times + end,
    st.text(min_size=1, max_size=5),
    st.integers(40, 150),
    st.text(max_size=5),
)
texts = st.text() | st.text(alphabet="./\\ ~a\0\x85ä\u6587%2F", max_size=30) | long
# No half of a surrogate pair: no URL and no file name in UTF-8 holds one.
names = texts.filter(lambda text: not re.search("[\ud800-\udfff]", text))


def is_safe(name: str) -> bool:
    return (
        name not in ("", ".", "..")
        and not re.search(r"[/\\]", name)
        and not CONTROL.search(name)
        and len(name.encode()) <= NAME_LIMIT
    )


@given(name=names)
@example(name="..")
@example(name="a" * 254 + " b")
@example(name="a." + "b" * 300)
@example(name="\u6587" * 200 + ".png")
def test_a_name_from_a_url_is_safe(name: str) -> None:
    assert is_safe(file_name_of(f"https://host/{quote(name)}"))
    assert is_safe(file_name_of(f"https://host/{quote(name, safe='')}?{quote(name)}#{quote(name)}"))


@given(path=names)
def test_a_name_from_a_url_as_it_came_is_safe(path: str) -> None:
    url = f"https://host/{path}"
    assume(is_http_url(url))
    assert is_safe(file_name_of(url))


@given(name=names)
@example(name="a" * 254 + " b")
def test_a_name_from_a_url_stays_as_it_is(name: str) -> None:
    once = file_name_of(f"https://host/{quote(name, safe='')}")
    assert file_name_of(f"https://host/{quote(once, safe='')}") == once


@given(
    name=st.text(alphabet="abcXYZ019_-\u00e4\u6587", min_size=1, max_size=60),
    end=st.sampled_from([".png", ".mp4", ""]),
)
def test_an_ordinary_name_is_kept(name: str, end: str) -> None:
    assert file_name_of(f"https://host/folder/{quote(name + end)}?token=a/b") == name + end


@given(
    stem=st.sampled_from(["abc", "\u00e4b", "\u6587"]).flatmap(
        lambda piece: st.integers(30, 200).map(piece.__mul__)
    ),
    end=st.sampled_from([".png", ".jpeg", ".tar"]),
)
def test_a_long_name_keeps_its_extension(stem: str, end: str) -> None:
    assert file_name_of(f"https://host/{quote(stem + end)}").endswith(end)


def as_a_careless_storage_sees_it(name: str) -> str:
    """Without case, and with accents taken apart: macOS, Windows and some network file systems do so."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


alike = st.sampled_from(["a.png", "A.png", "a.PNG", "a-2.png", "A-2.PNG", "\u00e9", "e\u0301", "E\u0301"])


@given(
    batch=st.lists(
        alike | names | long.filter(lambda text: not re.search("[\ud800-\udfff]", text)), max_size=9
    )
)
@example(batch=["n" * 255] * 3)
@example(batch=["\u6587" * 85] * 12)
@example(batch=["\u6587" * 83 + "ab.png"] * 3)
@example(batch=["a." + "b" * 253] * 3)
@example(batch=["a." + "\u6587" * 60] * 3)
@example(batch=["x" * 251 + ".png", "x" * 249 + "-2.png", "x" * 251 + ".PNG"])
def test_the_names_of_a_batch_are_safe_and_collide_nowhere(batch: list[str]) -> None:
    made = distinct_names([f"https://host/{quote(name, safe='')}" for name in batch])
    assert all(is_safe(name) for name in made)
    assert len({as_a_careless_storage_sees_it(name) for name in made}) == len(batch)


@given(batch=st.lists(st.sampled_from(["abc.png", "abd.png", "abc.mp4", "abc"]), unique=True))
def test_names_that_do_not_collide_are_kept(batch: list[str]) -> None:
    assert distinct_names([f"https://host/{name}?token=1" for name in batch]) == batch


def test_the_extension_stays_where_names_are_numbered() -> None:
    long = "\u6587" * 83 + "ab.png"
    assert distinct_names([f"https://host/{name}" for name in ("a.png", "A.png", "a.png", long, long)]) == [
        "a.png",
        "A-2.png",
        "a-3.png",
        long,
        "\u6587" * 83 + "-2.png",
    ]


@given(name=texts)
@example(name=".")
@example(name="..")
@example(name="." * 300)
def test_a_unique_name_is_safe_and_needs_no_escaping(name: str) -> None:
    made = unique_file_name(name)
    assert is_safe(made)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", made)
    assert made != unique_file_name(name)
    assert clean_file_name(made) == made


@given(
    stem=st.text(alphabet="ab \u00e4-", min_size=1, max_size=200).filter(lambda text: text.strip(" -")),
    end=st.sampled_from([".png", ".mp4", ".JPEG"]),
)
def test_a_unique_name_keeps_the_extension(stem: str, end: str) -> None:
    assert unique_file_name(stem + end).endswith(end)


@given(name=texts)
def test_a_chosen_name_is_kept_or_refused(name: str) -> None:
    try:
        clean = clean_file_name(name)
    except ValueError:
        assert name in ("", ".", "..") or re.search(r"[/\\]", name) or CONTROL.search(name) or len(name) > 80
    else:
        assert clean == name
        assert is_safe(clean) or len(name.encode(errors="replace")) > NAME_LIMIT


paths = texts | st.lists(st.sampled_from(["a", "b c", "", ".", "..", "ä"]), max_size=5).map("/".join)


@given(path=paths)
def test_an_upload_path_is_plain_and_stays_as_it_is(path: str) -> None:
    try:
        clean = clean_upload_path(path)
    except ValueError:
        return
    assert clean == path.strip("/")
    assert clean_upload_path(clean) == clean
    assert clean_upload_path(f"/{clean}/") == clean
    parts = clean.split("/")
    assert all(
        part not in ("", ".", "..") and "\\" not in part and not CONTROL.search(part) for part in parts
    )


@pytest.mark.parametrize("separator", ["?", "#"])
@given(path=st.text(alphabet="abc/", max_size=9), query=st.text(alphabet="abc&=%/?", max_size=9))
def test_nothing_is_shown_of_a_query(path: str, query: str, separator: str) -> None:
    assert without_query(f"https://host/{path}{separator}{query}") == f"https://host/{path}"
