"""What the pages show of consoles is what a reader gets who types the same."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.cli.cli_parser import get_parser
from airflow.cli.commands import standalone_command

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.simulator import KieSimulator
from airflow_provider_kie.simulator.__main__ import main

from .pages import blocks, literals, text_of
from .test_messages import fits

SIMULATOR = "python -m airflow_provider_kie.simulator"


def console(page: str, word: str) -> list[tuple[str, str]]:
    """Give the commands of the page's one console that has this word, each with what it prints."""
    [block] = [block for block in blocks(page, "console") if word in block]
    parts = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    return [(command, printed.rstrip()) for command, printed in parts]


def same(text: str) -> str:
    """Leave out what differs from one machine and run to the next: ports, folders of files, line breaks."""
    text = re.sub(r"(127\.0\.0\.1:)\d+(/[0-9a-f]{16}/)?", r"\1PORT/", text)
    return " ".join(text.split())


def type_in(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Give a command to a simulator; return what it prints."""
    main(shlex.split(command.removeprefix(SIMULATOR)))
    return capsys.readouterr().out


def test_the_simulator_begins_with_the_lines_that_are_shown() -> None:
    [(command, shown)] = console("testing.rst", "--port 8765 --credits")
    arguments = shlex.split(command.replace("--port 8765", ""))[1:]
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout
        printed = [serving.stdout.readline().rstrip() for _ in range(3)]
        serving.terminate()
    for line, quoted in zip(printed, shown.splitlines(), strict=True):
        assert fits(same(line), same(quoted))


def test_the_commands_print_what_is_shown(
    kie_simulator: KieSimulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    monkeypatch.chdir(tmp_path)
    url = ""
    for command, shown in console("testing.rst", "add-model"):
        printed = type_in(command, capsys)
        assert same(printed) == same(shown)
        url = printed.strip() if " add " in command else url
    KieHook().get_credits()
    KieHook().get_download_url(url)
    [(command, shown)] = console("testing.rst", "simulator requests")
    assert same(type_in(command, capsys)) == same(shown)


def test_without_a_simulator_the_commands_say_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with KieSimulator() as kie:
        monkeypatch.setenv("AIRFLOW_CONN_KIE_DEFAULT", kie.connection())
    [(command, shown)] = console("testing.rst", "No simulator answers")
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(command.removeprefix(SIMULATOR)))
    assert same(str(caught.value)) == same(shown)


def test_one_job_of_the_quickstart_leaves_the_credits_that_are_shown(
    kie_simulator: KieSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    KieHook().submit_job({"prompt": "a fox"}, model="demo/image-to-video")
    shown = dict(console("quickstart.rst", "simulator credits"))
    assert same(type_in(f"{SIMULATOR} credits", capsys)) == shown[f"{SIMULATOR} credits"]


def test_airflow_says_that_it_is_ready_as_the_quickstart_does() -> None:
    said = next(words for words in literals(text_of("quickstart.rst")) if "ready" in words)
    assert f'"{said}"' in inspect.getsource(standalone_command)


@pytest.mark.usefixtures("kie_simulator")
def test_airflows_command_tests_a_connection_as_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [(command, shown)] = console("connection.rst", "connections test")
    setting, *arguments = shlex.split(command)
    monkeypatch.setenv(*setting.split("="))
    options = get_parser().parse_args(arguments[1:])
    options.func(options)
    assert same(capsys.readouterr().out) == same(shown)
