from __future__ import annotations

import pytest

from airflow_provider_kie.client.arguments import (
    check_choice,
    check_public_url,
    clean_file_name,
    clean_upload_path,
)


@pytest.mark.parametrize("value", ["auto", "stream"])
def test_a_choice_is_given_back(value: str) -> None:
    assert check_choice("method", value, ("auto", "stream")) == value


@pytest.mark.parametrize("value", ["", "AUTO", "auto ", "ftp", "aut"])
def test_another_choice_is_refused_and_the_allowed_ones_are_named(value: str) -> None:
    with pytest.raises(ValueError, match=r"^method must be one of auto, stream; not '") as caught:
        check_choice("method", value, ("auto", "stream"))
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://h/a.png", "http://h:8080/a?b=c#d", "HTTPS://H/", "https://[::1]:8765/a", "https://h/a@b"],
)
def test_a_public_url_is_given_back(url: str) -> None:
    assert check_public_url("file_url", url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.png",
        "/a.png",
        "//h/a.png",
        "ftp://h/a",
        "s3://bucket/a",
        "file:///a",
        "https://",
        "https:///a",
        "https://h:99999/a",
        "https://h:0/a",
        "https://h:x/a",
        "https://[::1/a",
        "javascript:alert(1)",
        "data:text/plain,a",
        "https://h/\na",
        " https://h/a",
        "https://h/a\x00",
    ],
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^file_url must be an absolute http\(s\) URL") as caught:
        check_public_url("file_url", url)
    assert str(caught.value).endswith(f", not {url!r}")


@pytest.mark.parametrize(
    "url", ["https://me:s3cret@h/a", "https://s3cret@h/a", "https://:s3cret@h/a", "http://@h/"]
)
def test_a_url_with_credentials_is_refused_without_showing_them(url: str) -> None:
    with pytest.raises(ValueError, match="must not hold credentials") as caught:
        check_public_url("file_url", url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["h/a?sig=s3cret", "ftp://me:s3cret@h/a", "https://h:none/a#s3cret", "https:///a?s3cret", "s3cret@h/a"],
)
def test_what_is_no_http_url_is_shown_without_what_may_be_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r"^file_url must be an absolute http\(s\) URL, not '.*/a") as caught:
        check_public_url("file_url", url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("images", "images"),
        ("/images/nightly/", "images/nightly"),
        ("//a//", "a"),
        ("a b/\u6587/c..d/.e", "a b/\u6587/c..d/.e"),
    ],
)
def test_an_upload_path_loses_the_slashes_at_its_ends(given: str, clean: str) -> None:
    assert clean_upload_path(given) == clean


@pytest.mark.parametrize("path", ["", "/", "//", " ", " / "])
def test_an_empty_upload_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"^upload_path "):
        clean_upload_path(path)


@pytest.mark.parametrize("path", ["..", "a/../b", "/../a", "a/..", ".", "a/./b", "a//b"])
def test_an_upload_path_that_leaves_its_place_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"^upload_path must have no empty part"):
        clean_upload_path(path)


@pytest.mark.parametrize("path", ["a\\b", "\\", "a\nb", "a\x00", "\x1fa", "a\x7f", "a\x85b"])
def test_an_upload_path_with_backslash_or_control_character_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"^upload_path must have no backslash and no control character"):
        clean_upload_path(path)


@pytest.mark.parametrize("name", ["a.png", ".env", "a b.png", "\u6587.png", "a..b", "..."])
def test_a_plain_file_name_is_given_back(name: str) -> None:
    assert clean_file_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/a", "a/", "a\\b", "..\\a", "a\nb", "a\x00", "\x7f", "a\x9fb"]
)
def test_a_file_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^file_name must be a plain name"):
        clean_file_name(name)
