"""What a DAG author asks of kie.ai, checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, get_args

from airflow_provider_kie.client.api.jobs import submit_job
from airflow_provider_kie.client.arguments import (
    check_choice,
    json_object,
    optional_seconds,
    positive_seconds,
)
from airflow_provider_kie.decisions.jobs import OnDoubt

if TYPE_CHECKING:
    from airflow_provider_kie.client.call import Call


@dataclass(frozen=True)
class Order:
    """
    What a task asks of kie.ai, checked.

    :param call: The submission.
    :param input: The input, as JSON carries it.
    :param api: Family of models.
    :param model: Model.
    :param timeout: Seconds of waiting.
    :param poll_interval: Seconds between two looks; None for the usual schedule.
    :param on_doubt: What to do where nobody can tell whether there is a job.
    """

    call: Call[str]
    input: dict[str, Any]
    api: str
    model: str | None
    timeout: float
    poll_interval: float | None
    on_doubt: OnDoubt

    @property
    def name(self) -> str:
        """What log and metrics call it: the model, or the api where that has none."""
        return self.model or self.api

    @classmethod
    def parse(
        cls,
        input: Any,
        *,
        model: str | None,
        api: str,
        callback_url: str | None,
        timeout: Any,
        poll_interval: Any,
        on_doubt: str,
    ) -> Self:
        """
        Read what a DAG author wrote, after templating.

        :return: The order.
        :raises ValueError: An argument is unusable.
        """
        return cls(
            call=submit_job(input, model=model, api=api, callback_url=callback_url),
            input=json_object("input", input),
            api=api,
            model=model,
            timeout=positive_seconds("timeout", timeout),
            poll_interval=optional_seconds("poll_interval", poll_interval),
            on_doubt=check_choice("on_doubt", on_doubt, get_args(OnDoubt)),
        )
