from __future__ import annotations

import pytest

from airflow_provider_kie.client.urls import (
    NAME_LIMIT,
    authority,
    file_name_of,
    is_http_url,
    is_loopback,
    presentable,
    without_query,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://h",
        "http://h/a",
        "HTTPS://H/A",
        "https://h:65535/",
        "https://[2001:db8::1]/a",
        "http://[::1]:80/",
        "https://h/a b",
        "https://h/\u6587?x#y",
    ],
)
def test_http_urls(url: str) -> None:
    assert is_http_url(url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "h/a",
        "//h/a",
        "http:",
        "http:a",
        "http://",
        "http:///a",
        "http://:80/",
        "https://h:65536/",
        "https://h:-1/",
        "https://h:0/",
        "https://h:a/",
        "https://[::1",
        "https://[zz]/",
        "https://\u2100.example/",
        "file:///a",
        "s3://b/k",
        "C:\\a.png",
        " https://h/a",
        "\x00https://h/a",
        "ht\ntp://h/a",
        "https://h/a\nb",
        "https://a b/",
    ],
)
def test_what_is_no_http_url(text: str) -> None:
    assert not is_http_url(text)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "0.0.0.0",
        "10.0.0.1",
        "localhost.example",
        "127.0.0.1.example",
        "example",
        "::",
        "[::1]",
        "2130706433",
        "127.1",
    ],
)
def test_everything_else_is_not(host: str | None) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a.png?X-Amz-Signature=0", "https://h/a.png"),
        ("https://h/a.png#frag", "https://h/a.png"),
        ("https://h/a.png?a=b?c#d?e", "https://h/a.png"),
        ("https://h?sig", "https://h"),
        ("https://[::1]:8765/a%3Fb?sig", "https://[::1]:8765/a%3Fb"),
        ("https://h/a.png", "https://h/a.png"),
        ("https://h/a;b=c?d", "https://h/a;b=c"),
    ],
)
def test_the_query_and_the_fragment_are_taken_off(url: str, shown: str) -> None:
    assert without_query(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/a.png", "https://h/a.png"),
        ("https://h/a?sig=s3cret", "https://h/a?..."),
        ("https://h/a#s3cret", "https://h/a?..."),
        ("https://me:s3cret@h/a?b", "https://***@h/a?..."),
        ("https://me:s3c?ret@h/a", "https://***?..."),
        ("https://me:s3c#ret@h/a", "https://***?..."),
        ("https:///a?sig=abc@s3cret", "https://***?..."),
        ("https://me:s3/cr@et@h/a", "https://***@h/a"),
        ("//me:s3cret@h/a", "//***@h/a"),
        ("me:s3cret@h//a", "***@h//a"),
        ("https:/me:s3cret@h/a", "***@h/a"),
        ("a.png", "a.png"),
        ("", ""),
        ("x" * 500, "x" * 197 + "..."),
    ],
)
def test_of_what_should_be_a_url_nothing_secret_is_presentable(text: str, shown: str) -> None:
    assert presentable(text) == shown
    assert "s3c" not in shown


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://kieai.redpandaai.co/a", "kieai.redpandaai.co"),
        ("https://KieAI.redpandaai.co:443/a", "kieai.redpandaai.co"),
        ("http://h:80", "h"),
        ("http://h:443", "h:443"),
        ("https://h:80", "h:80"),
        ("http://127.0.0.1:8765/x", "127.0.0.1:8765"),
        ("https://me:pw@h:8443/x", "h:8443"),
        ("/x", ""),
    ],
)
def test_the_authority_has_a_port_only_where_it_is_not_the_schemes_own(url: str, host: str) -> None:
    assert authority(url) == host


def test_an_ipv6_address_and_its_port_are_told_apart() -> None:
    assert authority("http://[::1]:8765/") != authority("http://[::1:8765]/")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b.png", "b.png"),
        ("https://h/b.png?name=/c.png#/d.png", "b.png"),
        ("https://h/a%20b%20%E6%96%87.png", "a b \u6587.png"),
        ("https://h/a%2Fb.png", "a_b.png"),
        ("https://h/..%2F..%2Fetc%2Fpasswd", "_.._etc_passwd"),
        ("https://h/..%5C..%5Cx.png", "_.._x.png"),
        ("https://h/C%3A%5Cx.png", "C:_x.png"),
        ("https://h/a%00b%0Ac.png", "a_b_c.png"),
        ("https://h/.htaccess", "htaccess"),
        ("https://h/%2Ehtaccess", "htaccess"),
        ("https://h/%20a.png%20", "a.png"),
        ("https://h/%FF.png", "\ufffd.png"),
        ("https://h/100%.png", "100%.png"),
        ("https://h/a%252Fb", "a%2Fb"),
        ("https://h/", "file"),
        ("https://h", "file"),
        ("https://h/a/", "file"),
        ("https://h/..", "file"),
        ("https://h/%2E%2E", "file"),
        ("https://h/...", "file"),
        ("https://h/%20", "file"),
    ],
)
def test_a_file_name_is_taken_from_a_url_and_made_safe(url: str, name: str) -> None:
    assert file_name_of(url) == name


@pytest.mark.parametrize("url", ["https://h/%2E%20.bashrc", "https://h/.%20.%20.bashrc"])
def test_a_file_name_never_begins_with_a_dot(url: str) -> None:
    assert not file_name_of(url).startswith(".")


@pytest.mark.parametrize("url", ["https://h/a%C2%85b.png", "https://h/a%C2%9Bb.png", "https://h/a%7Fb.png"])
def test_a_file_name_has_no_control_character(url: str) -> None:
    assert file_name_of(url) == "a_b.png"


@pytest.mark.parametrize(
    ("last", "end"),
    [
        ("x" * 300 + ".png", ".png"),
        ("%E6%96%87" * 100 + ".png", ".png"),
        ("a" + "%F0%9F%98%80" * 80 + ".tar.gz", ".gz"),
        ("x" * 255, "x"),
        ("x." + "y" * 300, "y"),
        ("." * 10 + "%E6%96%87" * 100, "\u6587"),
    ],
)
def test_a_file_name_fits_every_file_system_and_keeps_its_extension(last: str, end: str) -> None:
    name = file_name_of(f"https://h/{last}")
    assert NAME_LIMIT - 4 < len(name.encode()) <= NAME_LIMIT
    assert name.endswith(end)
