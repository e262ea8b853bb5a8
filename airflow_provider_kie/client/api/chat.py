"""Chat completions: the call, and one reading of the answer, whether it came whole or in pieces."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_kie.client.arguments import check_model, check_text, json_list, json_object
from airflow_provider_kie.client.call import Call
from airflow_provider_kie.client.errors import (
    KieError,
    KieJobFailedError,
    KieResponseError,
    KieUnavailableError,
    quote,
)
from airflow_provider_kie.client.portable import finite_number, portable
from airflow_provider_kie.client.retries import was_refused
from airflow_provider_kie.client.settings import CHAT_PATH, KieSettings

log = logging.getLogger(__name__)

# Models that reason are silent for minutes.
TIMEOUT_SECONDS = 600.0
# A stream has some 350 bytes for each of its tokens.
ANSWER_LIMIT = 64 * 1024 * 1024
_MAY_BE_BILLED = "The answer may have been billed; asking again may cost again."
_FENCE = "```"
_OURS = ("messages", "model", "stream")


@dataclass(frozen=True)
class ChatAnswer:
    """
    A model's answer.

    :param text: Its text; empty where it calls tools instead.
    :param message: The whole message in OpenAI's format, with ``tool_calls`` if there are any.
    :param model: The model that answered, in its own words.
    :param finish_reason: Why it ended: ``stop``, ``length`` (cut at ``max_tokens``), ``tool_calls``, ...
    :param usage: Tokens, as the model counts them; None if it does not say.
    :param credits: What it cost; None if kie.ai does not say.
    :param raw: All that kie.ai answered; of a stream, its chunks put together.
    """

    text: str
    message: dict[str, Any]
    model: str | None
    finish_reason: str | None
    usage: dict[str, Any] | None
    credits: float | None
    raw: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON-safe dict that the operator returns."""
        return dict(vars(self))


def complete_chat(
    messages: Any,
    *,
    model: str,
    options: Any = None,
    stream: bool = False,
    timeout: float = TIMEOUT_SECONDS,
) -> Call[ChatAnswer]:
    """
    Ask a model; costs credits, and is never repeated unless it was refused or never sent.

    :param messages: A text, or a list of messages in OpenAI's format.
    :param model: Model.
    :param options: More fields of the request's body, such as ``temperature``; none by default.
    :param stream: Whether the answer comes in pieces, for
        :class:`~airflow_provider_kie.client.streams.ChatStream`.
    :param timeout: Seconds until the answer has to be complete; ten minutes by default.
    :return: A call that returns the answer; :func:`placed` sends it where a connection says that models chat.
    :raises ValueError: An argument is unusable.

    kie.ai page: https://docs.kie.ai/market/gemini/gemini-2-5-flash
    """
    name = check_model(model)
    more = json_object("options", {} if options is None else options)
    for key in _OURS:
        if key in more:
            raise ValueError(
                f"options must not have {key!r} in them: it has an argument, or a method, of its own"
            )
    if stream:
        # Otherwise a stream ends without its usage.
        more.setdefault("stream_options", {"include_usage": True})
    return Call(
        f"chat with {name}",
        "api",
        "POST",
        CHAT_PATH.replace("{model}", name),
        parse_chat,
        # ``stream`` is always sent: without it, some models stream.
        json={"model": name, "messages": check_messages(messages), "stream": stream} | more,
        explain=_explain,
        repeatable=False,
        bare=True,
        seconds=timeout,
        limit=ANSWER_LIMIT,
    )


def placed(call: Call[ChatAnswer], settings: KieSettings) -> Call[ChatAnswer]:
    """
    Send a chat where the settings say that models chat.

    :param call: From :func:`complete_chat`.
    :param settings: Those of the client that will send it.
    :return: The call with its path.
    """
    return replace(call, path=settings.path_of_chat((call.json or {})["model"]))


def check_messages(messages: Any) -> list[dict[str, Any]]:
    """
    Check what a model is told.

    :param messages: A text, which is the user's, or a list of messages.
    :return: Messages.
    :raises ValueError: There is none, or one is no message; the error says which.
    """
    if isinstance(messages, str):
        if not messages.strip():
            raise ValueError("messages must say something, and is empty")
        return [{"role": "user", "content": check_text("messages", messages)}]
    checked = json_list("messages", messages)
    if not checked:
        raise ValueError("messages must say something, and is empty")
    for number, message in enumerate(checked):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or not role:
            raise ValueError(
                f'messages[{number}] must be a message such as {{"role": "user", "content": "Hello"}}, not '
                f"{quote(repr(message))}"
            )
    return checked


def parse_chat(data: Any) -> ChatAnswer:
    """
    Read a completion.

    :param data: OpenAI's ``chat.completion``, with kie.ai's ``credits_consumed`` at its root.
    :return: The answer: of several choices the first.
    :raises KieResponseError: It has no message.
    """
    raw = portable(data)
    choices = raw.get("choices") if isinstance(raw, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    choice = first if isinstance(first, dict) else {}
    message = choice.get("message")
    if not isinstance(message, dict):
        raise KieResponseError(f"the answer has no message: {quote(str(data))}")
    usage, finish_reason, model = raw.get("usage"), choice.get("finish_reason"), raw.get("model")
    return ChatAnswer(
        text=text_of(message.get("content")),
        message=message,
        model=model if isinstance(model, str) else None,
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
        usage=usage if isinstance(usage, dict) else None,
        credits=finite_number(raw.get("credits_consumed")),
        raw=raw,
    )


def text_of(content: Any) -> str:
    """
    Read the text of a message.

    :param content: Text, a list of parts with text in some of them, or None.
    :return: The text; empty where there is none.
    :raises KieResponseError: It is something else.
    """
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(text for text in texts if isinstance(text, str))
    if content is None or isinstance(content, str):
        return content or ""
    raise KieResponseError(f"the message's content is no text but {type(content).__name__}")


def _explain(error: KieError) -> KieError:
    """Take the codes of a job that has failed for what they can be in a chat."""
    if not isinstance(error, KieJobFailedError):
        return error
    said = str(error.args[0])
    return KieUnavailableError(said, code=error.code, retry_after=error.retry_after)


def say_if_billed(call: Call[ChatAnswer], error: BaseException, *, begun: bool = False) -> None:
    """
    Say of a chat that has no answer that it may have been billed, unless it was not.

    :param call: What was asked.
    :param error: What came of it, after all repetitions. One of ours says so itself, for any other the log
        does.
    :param begun: Whether a part of the answer has come: whatever is said then is no refusal.
    """
    if not isinstance(error, KieError):
        # Airflow's execution_timeout, for example, which knows nothing of bills.
        log.warning("%s: %s", call.name, _MAY_BE_BILLED)
    elif begun or not was_refused(error):
        said = str(error.args[0]).rstrip(".")
        error.saying(f"{said}. {_MAY_BE_BILLED}")


def parse_json(answer: ChatAnswer) -> Any:
    """
    Read an answer whose text is to be JSON.

    :param answer: The answer; a Markdown fence around the JSON does not count.
    :return: What the JSON says.
    :raises KieResponseError: It is none; the message quotes it, and says if the answer was cut.
    """
    try:
        return portable(json.loads(_without_fence(answer.text), parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        cut = ", because it was cut at max_tokens" if answer.finish_reason == "length" else ""
        said = quote(answer.text) or "nothing"
        raise KieResponseError(
            f"the answer is no JSON{cut} ({quote(str(error))}): {said}", transient=True
        ) from None


def _without_fence(text: str) -> str:
    text = text.removeprefix("\ufeff").strip()
    if not (text.startswith(_FENCE) and text.endswith(_FENCE) and len(text) >= 2 * len(_FENCE)):
        return text
    inner = text[len(_FENCE) : -len(_FENCE)]
    # What stands on the fence's own line is the language.
    language, line_end, rest = inner.partition("\n")
    if line_end and (not language.strip() or language.strip().isalnum()):
        return rest
    return inner.strip().removeprefix("json")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
