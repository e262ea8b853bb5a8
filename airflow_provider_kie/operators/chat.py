"""Asking models that chat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_kie._tasks import KiePaidOperator, fail_without_retry

if TYPE_CHECKING:
    from airflow.sdk import Context

OutputType = Literal["text", "json"]


class KieChatOperator(KiePaidOperator):
    """
    Ask a model that chats, and give its answer. Costs credits.

    An answer that is lost on the way may have been billed, so nothing is sent again within a try unless
    kie.ai refused it for now, or it never got there. Airflow's own ``retries`` do ask, and may pay, again.
    What was asked before a kill may be billed, too.

    :param messages: What the model is told: a text, or a list of messages in OpenAI's format. (templated)
    :param prompt: In place of ``messages``: what the user says. (templated)
    :param system: With ``prompt``: the system message. (templated)
    :param model: Model, such as ``gemini-2.5-flash``. (templated)
    :param options: More fields of the request, passed on as they are: ``temperature``, ``top_p``,
        ``max_tokens``, ``tools``, ``response_format``, ... No value changes its type. (templated)
    :param output_type: ``text``, or ``json``: the answer has to be JSON, and is given as ``parsed``, too.
        (templated)
    :param timeout: Seconds for the whole answer, or a ``timedelta``; ten minutes by default. (templated)
    :param kie_conn_id: Airflow connection. (templated)
    :return: ``{text, message, model, finish_reason, usage, credits, raw, parsed}``: ``message`` is the whole
        message, tool calls included, ``credits`` what it cost, ``raw`` all that kie.ai answered; ``parsed``
        is None unless ``output_type="json"``. Each key is an XCom of its own, too: ``chat.output["text"]``.
    :raises ValueError: An argument is unusable; nothing was sent.
    :raises AirflowFailException: No retry can help: kie.ai refused it.
    :raises KieResponseError: The answer is not what was asked for; with ``output_type="json"`` it is no JSON.
    :raises KieError: There is no whole answer; the message says if it may be billed.

    kie.ai page: https://docs.kie.ai/market/gemini/gemini-2-5-flash
    """

    template_fields: Sequence[str] = (
        "messages",
        "prompt",
        "system",
        "model",
        "options",
        "output_type",
        "timeout",
        "kie_conn_id",
    )
    template_fields_renderers = {"messages": "json", "options": "json"}
    masked_fields = ("messages", "prompt", "system", "options")
    ui_color = "#f3e6f2"

    def __init__(
        self,
        *,
        model: str,
        messages: str | list[dict[str, Any]] | None = None,
        prompt: str | None = None,
        system: str | None = None,
        options: dict[str, Any] | None = None,
        output_type: OutputType = "text",
        timeout: float | timedelta | str = 600,
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        # So that ``chat.output["text"]`` is the text.
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.messages = messages
        self.prompt = prompt
        self.system = system
        self.model = model
        self.options = options
        self.output_type = output_type
        self.timeout = timeout
        self.kie_conn_id = kie_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask."""
        from airflow_provider_kie._outlets import add_result_to_outlet_events
        from airflow_provider_kie.client.api.chat import parse_json
        from airflow_provider_kie.client.arguments import check_choice
        from airflow_provider_kie.hooks.kie import KieHook

        is_json = check_choice("output_type", self.output_type, get_args(OutputType)) == "json"
        messages = self._messages()
        with fail_without_retry():
            answer = KieHook(self.kie_conn_id).ask(
                messages,
                model=self.model,
                timeout=self.timeout,
                options=self.options,
                on_wait=self._check_running,
            )
            result = answer.to_dict() | {"parsed": parse_json(answer) if is_json else None}
        # ``raw`` has nothing that the other keys lack, but more of it.
        add_result_to_outlet_events(
            self, context, {name: value for name, value in result.items() if name != "raw"}
        )
        return result

    def _messages(self) -> Any:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("Give either messages or prompt")
        if self.prompt is None:
            if self.system is not None:
                raise ValueError(
                    'system goes with prompt; in messages it is {"role": "system", "content": ...}'
                )
            return self.messages
        spoken = [] if self.system is None else [_message("system", "system", self.system)]
        return [*spoken, _message("user", "prompt", self.prompt)]


def _message(role: str, name: str, text: Any) -> dict[str, str]:
    from airflow_provider_kie.client.arguments import check_text
    from airflow_provider_kie.client.errors import quote

    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{name} must be a text that says something, not {quote(repr(text))}")
    return {"role": role, "content": check_text(name, text)}
