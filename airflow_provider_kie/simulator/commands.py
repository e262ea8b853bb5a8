"""The commands that steer a simulator running in another shell."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx

from airflow_provider_kie.simulator.answers import CALLS, UNKNOWN
from airflow_provider_kie.simulator.chats import AnswerPart
from airflow_provider_kie.simulator.state import checked_balance

VARIABLE = "AIRFLOW_CONN_KIE_DEFAULT"
_SECONDS = 60.0
_SHOWN = 120


class CommandError(Exception):
    """A command failed; the message is for the user who gave it."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """
    Add the commands to a parser; the chosen one ends up in ``options.run``.

    :param parser: the parser of the simulator's own options.
    """
    commands = parser.add_subparsers(title="commands to a simulator that runs already", metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--url", help=f"the simulator's API (default: the host that {VARIABLE} names)")

    credits = commands.add_parser("credits", parents=[shared], help="show the balance, or set it")
    credits.add_argument("balance", type=float, nargs="?", help="the new balance")
    credits.set_defaults(run=_credits)

    fail = commands.add_parser("fail", parents=[shared], help="let the next requests of a call go wrong")
    fail.add_argument("call", choices=CALLS)
    fail.add_argument("--code", type=int, help="answer with this code in the body")
    fail.add_argument("--msg", help="the message beside the code")
    fail.add_argument("--status", type=int, help="the HTTP status")
    fail.add_argument("--retry-after", metavar="SECONDS", help="a Retry-After header")
    fail.add_argument("--html", action="store_true", help="answer with a gateway's page")
    fail.add_argument("--body", help="answer with exactly this body")
    fail.add_argument("--delay", type=float, metavar="SECONDS", help="wait before the answer")
    fail.add_argument(
        "--chunk-delay", type=float, metavar="SECONDS", help="wait between pieces of 16 KiB, or events"
    )
    fail.add_argument(
        "--drop-after", type=int, metavar="BYTES", help="cut the answer's body off; -1: no answer"
    )
    fail.add_argument("--accept", action="store_true", help="createTask and chat take effect all the same")
    fail.add_argument("--times", type=int, default=1, help="how many requests go wrong (default: 1)")
    fail.set_defaults(run=_fail)

    add = commands.add_parser("add", parents=[shared], help="add a generated file, print its URL")
    add.add_argument("name", help="its name at kie.ai")
    add.add_argument("file", type=Path, help="the file to copy")
    add.set_defaults(run=_add)

    _add_paid_commands(commands, shared)

    requests = commands.add_parser("requests", parents=[shared], help="show what was asked")
    requests.add_argument("--call", choices=[*CALLS, UNKNOWN], help="of one call only")
    requests.add_argument("--json", action="store_true", help="all that is known, one JSON object a line")
    requests.set_defaults(run=_requests)


def _add_paid_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    model = commands.add_parser("add-model", parents=[shared], help="say what happens to a model's jobs")
    model.add_argument("name", help="Market's model, or the api that stands for a family")
    model.add_argument("--seconds", type=float, help="how long a job takes (default: 2)")
    model.add_argument("--credits", type=float, help="what it costs (default: 5)")
    model.add_argument("--hold", type=float, metavar="CREDITS", help="held meanwhile (default: the price)")
    model.add_argument("--fail", type=int, metavar="CODE", help="let it fail with this code")
    model.add_argument("--unknown-seconds", type=float, metavar="SECONDS", help="its record appears later")
    model.set_defaults(run=_add_model)

    jobs = commands.add_parser("jobs", parents=[shared], help="show what was accepted and what it cost")
    jobs.add_argument("--json", action="store_true", help="all that is known, one JSON object a line")
    jobs.set_defaults(run=_jobs)

    chat = commands.add_parser("add-chat-model", parents=[shared], help="say what a model answers to a chat")
    chat.add_argument("name", help="the model")
    chat.add_argument("--text", help="what it says (default: the user's last message)")
    chat.add_argument("--credits", type=float, help="what an answer costs (default: 0.01)")
    chat.add_argument("--seconds", type=float, help="how long it thinks before it answers (default: 0)")
    chat.add_argument("--fail", type=int, metavar="CODE", help="give this code instead of an answer")
    chat.add_argument("--fail-after", type=int, metavar="CHUNKS", help="let streams fail after so many")
    chat.add_argument("--without", action="append", choices=get_args(AnswerPart), help="leave that part out")
    chat.set_defaults(run=_add_chat_model)

    chats = commands.add_parser("chats", parents=[shared], help="show which chats were billed")
    chats.add_argument("--json", action="store_true", help="all that is known, one JSON object a line")
    chats.set_defaults(run=_chats)


def find_url(given: str | None) -> str:
    """
    Find out where the simulator runs.

    :param given: its URL, if the user gave it.
    :return: the URL of its API, without a trailing slash.
    :raises CommandError: when it is unknown, or not on this machine.
    """
    url = given or _host_of_connection(os.environ.get(VARIABLE, ""))
    if not url:
        raise CommandError(
            f"Where does the simulator run? Give --url, or paste the line 'export {VARIABLE}=...' that it"
            " printed when it was started."
        )
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost"):
        source = "--url" if given else VARIABLE
        raise CommandError(f"{source} leads to {url}: that is no simulator, which serves 127.0.0.1 only.")
    return url.rstrip("/")


def _host_of_connection(connection: str) -> str:
    try:
        return str(json.loads(connection).get("host") or "https://api.kie.ai")
    except (ValueError, AttributeError):
        return ""


def _ask(options: argparse.Namespace, method: str, path: str, **request: Any) -> Any:
    url = find_url(options.url)
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            answer = client.request(method, f"{url}/simulator/{path}", **request)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(
            f"No simulator answers on {url}: {error}. Start one in another shell with"
            " 'python -m airflow_provider_kie.simulator'."
        ) from error
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and "error" in body:
        raise CommandError(body["error"])
    if not answer.is_success or not isinstance(body, dict):
        raise CommandError(f"What answers on {url} is no such simulator: HTTP {answer.status_code}.")
    return body


def _credits(options: argparse.Namespace) -> str:
    if options.balance is None:
        answer = _ask(options, "GET", "credits")
    else:
        answer = _ask(options, "PUT", "credits", json={"credits": checked_balance(options.balance)})
    return f"{answer['credits']:g} credits"


def _fail(options: argparse.Namespace) -> str:
    names = (
        "code",
        "msg",
        "status",
        "retry_after",
        "html",
        "body",
        "delay",
        "chunk_delay",
        "drop_after",
        "accept",
    )
    query = {"call": options.call, "times": options.times}
    _ask(options, "POST", "faults", params=query, json=_given(options, names))
    times = "request" if options.times == 1 else f"{options.times} requests"
    return f"The next {times} of {options.call} will go wrong."


def _add(options: argparse.Namespace) -> str:
    try:
        with options.file.open("rb") as file:
            answer = _ask(options, "POST", "files", params={"name": options.name}, content=file)
    except (OSError, UnicodeError) as error:
        raise CommandError(f"Cannot add {options.file}: {error}") from error
    return str(answer["url"])


def _add_model(options: argparse.Namespace) -> str:
    names = ("seconds", "credits", "hold", "fail", "unknown_seconds")
    _ask(options, "PUT", "models", params={"name": options.name}, json=_given(options, names))
    return f"That is what happens to the next jobs of {options.name}."


def _jobs(options: argparse.Namespace) -> str:
    jobs = _ask(options, "GET", "jobs")["jobs"]
    return _listed(options, jobs, _job_line) or "No jobs yet."


def _job_line(job: dict[str, Any]) -> str:
    paid = f"{job['held']:g} held" if job["completed_at"] is None else f"{job['charged']:g} charged"
    name = job["api"] if job["model"] is None else f"{job['api']} {job['model']}"
    return f"{job['job_id']}  {job['state']:<7}  {paid:<12}  {name}"


def _add_chat_model(options: argparse.Namespace) -> str:
    names = ("text", "credits", "seconds", "fail", "fail_after", "without")
    _ask(options, "PUT", "chat-models", params={"name": options.name}, json=_given(options, names))
    return f"That is what {options.name} answers from now on."


def _chats(options: argparse.Namespace) -> str:
    chats = _ask(options, "GET", "chats")["chats"]
    return _listed(options, chats, _chat_line) or "No chats yet."


def _chat_line(chat: dict[str, Any]) -> str:
    kind = "stream" if chat["stream"] else "plain"
    return f"{chat['charged']:g} charged  {kind:<6}  {chat['model']}  {_shortened(chat['messages'][-1])}"


def _requests(options: argparse.Namespace) -> str:
    query = {"call": options.call} if options.call else {}
    asked = _ask(options, "GET", "requests", params=query)["requests"]
    return _listed(options, asked, _line) or "No requests yet."


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Give those options that are set, by their names."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _listed(
    options: argparse.Namespace, found: Iterable[dict[str, Any]], line: Callable[[dict[str, Any]], str]
) -> str:
    """Write what was found, a line each: in words, or as JSON if that is wanted."""
    return "\n".join((json.dumps if options.json else line)(one) for one in found)


def _line(request: dict[str, Any]) -> str:
    body = "" if request["json"] is None else _shortened(request["json"])
    # Kie.ai's errors are HTTP 200. The query is left out: that of a signed link is a secret.
    answer = request["code"] or request["status"] or "-"
    asked = f"{answer:>3}  {request['method']:<7} {request['path']}  {body}"
    return asked.rstrip()


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
