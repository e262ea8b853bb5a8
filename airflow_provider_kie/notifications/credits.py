"""Telling that credits run low."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class KieLowCreditsNotifier(BaseNotifier):
    """
    Notify if the balance is low; free.

    For ``on_success_callback`` and ``on_failure_callback`` of tasks and DAGs, and where Airflow awaits
    notifiers. It asks for the balance once. What goes wrong, here or in a notifier that it calls, is a
    warning in the log, and keeps no other notifier from its turn.

    :param threshold: Credits; fewer are low. (templated)
    :param notifiers: Notifiers, or functions of the context, to call then; the context has the balance as
        ``kie_credits``, which their templates may name. They are called as functions, never awaited.
    :param kie_conn_id: Airflow connection. (templated)
    :raises TypeError: ``notifiers`` is no list of these.

    kie.ai page: https://docs.kie.ai/common-api/get-account-credits
    """

    template_fields: Sequence[str] = ("threshold", "kie_conn_id")

    def __init__(
        self,
        threshold: float | str,
        notifiers: Sequence[Callable[[Any], Any]],
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(notifiers, str) or not isinstance(notifiers, Sequence) or not notifiers:
            raise TypeError(f"notifiers must be a list of notifiers or functions, not {notifiers!r}")
        for notifier in notifiers:
            if not callable(notifier) or iscoroutinefunction(notifier):
                raise TypeError(f"notifiers: {notifier!r} is neither a notifier nor a plain function")
        self.threshold = threshold
        self.notifiers = notifiers
        self.kie_conn_id = kie_conn_id

    def notify(self, context: Context) -> None:
        """
        Ask for the balance, and call the others if it is low.

        :param context: The context of the task or the DAG run.
        """
        from airflow_provider_kie.hooks.kie import KieHook

        try:
            # Whatever waits for this callback is to be over soon.
            balance = KieHook(self.kie_conn_id).get_credits(max_retries=0)
            for notifier in self._due(balance):
                self._call(notifier, _with_balance(context, balance))
        except Exception as error:
            _warn("Cannot tell whether credits are low", error)

    async def async_notify(self, context: Context) -> None:
        """
        Ask for the balance on an event loop; otherwise as :meth:`notify`.

        :param context: The context of the task or the DAG run.
        """
        from asgiref.sync import sync_to_async

        from airflow_provider_kie.hooks.kie import KieHook

        try:
            balance = await KieHook(self.kie_conn_id).aget_credits(max_retries=0)
            for notifier in self._due(balance):
                # Most of them block; in a thread they do not stop whatever else is on the loop.
                await sync_to_async(self._call)(notifier, _with_balance(context, balance))
        except Exception as error:
            _warn("Cannot tell whether credits are low", error)

    def _due(self, balance: float) -> Sequence[Callable[[Any], Any]]:
        from airflow_provider_kie.decisions.credits import CreditsGoal

        if CreditsGoal.parse(self.threshold).met_by(balance):
            return ()
        log.warning("%.15g credits are left, fewer than %s", balance, self.threshold)
        return self.notifiers

    def _call(self, notifier: Callable[[Any], Any], context: Any) -> None:
        try:
            notifier(context)
        except Exception as error:
            _warn(f"{type(notifier).__name__} has failed", error)

    def __call__(self, *args: Any) -> None:
        """Render the fields, and notify; Airflow calls this."""
        try:
            super().__call__(*args)
        except Exception as error:
            _warn("Cannot tell whether credits are low", error)

    def __await__(self) -> Generator[Any, None, None]:
        """Render the fields, and notify, on an event loop."""
        try:
            yield from super().__await__()
        except Exception as error:
            _warn("Cannot tell whether credits are low", error)


def _with_balance(context: Context, balance: float) -> dict[str, Any]:
    return {**context, "kie_credits": balance}


def _warn(what: str, error: Exception) -> None:
    log.warning("%s: %s: %s", what, type(error).__name__, error)
