"""What every operator and sensor of this provider has: how it fails, how it is ended, a retry policy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_kie._compat import HAS_RETRY_POLICIES, AirflowFailException, RetryPolicy
from airflow_provider_kie.retry_policy import KieRetryPolicy

if TYPE_CHECKING:
    from airflow_provider_kie.client.errors import KieError

log = logging.getLogger(__name__)

# With Airflow's ``retry_delay`` of 5 minutes an hour, as maintenance may take.
RETRY_POLICY = KieRetryPolicy(max_reschedules=12) if HAS_RETRY_POLICIES else None
PAID_RETRY_POLICY = KieRetryPolicy() if HAS_RETRY_POLICIES else None


class KieBaseOperator(BaseOperator):
    """
    Has a retry policy, hides the queries of URLs that it is given, and ends when Airflow asks it to.

    :param retry_policy: Another one; None for none. Ignored before Airflow 3.3.
    """

    masked_fields: Sequence[str] = ()
    """Templated fields that may hold URLs, whose queries Airflow is to hide."""
    _is_killed = False

    # A default of an argument: Airflow gives it to mapped tasks as well, and ``default_args`` replace it.
    def __init__(self, *, retry_policy: RetryPolicy | None = RETRY_POLICY, **kwargs: Any) -> None:
        if HAS_RETRY_POLICIES:
            kwargs["retry_policy"] = retry_policy
        super().__init__(**kwargs)

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        # The one method that Airflow calls for mapped and unmapped tasks alike.
        super()._do_render_template_fields(*args, **kwargs)
        if self.masked_fields:
            from airflow_provider_kie._rendering import mask_queries

            for field in self.masked_fields:
                mask_queries(getattr(self, field))

    def on_kill(self) -> None:
        """
        Leave word that the task is to end; Airflow calls this in a signal handler, at any line.

        It must not do more: an exception from here could be caught by whoever happens to be at work,
        Airflow's state store for one, and a lock could be held by the very line that is interrupted.
        """
        self._is_killed = True

    def _check_running(self) -> None:
        """Raise if the task is to end."""
        if self._is_killed:
            from airflow_provider_kie.client.errors import KieCancelledError

            raise KieCancelledError("The task was ended from outside.")


class KiePaidOperator(KieBaseOperator):
    """
    Costs credits, so never starts over beside its ``retries``.

    kie.ai's limit may have been met after the payment, in a subclass or in ``post_execute``.

    :param retry_policy: Another one; None for none. Ignored before Airflow 3.3.
    """

    def __init__(self, *, retry_policy: RetryPolicy | None = PAID_RETRY_POLICY, **kwargs: Any) -> None:
        super().__init__(retry_policy=retry_policy, **kwargs)


class PlainFailures:
    """
    A context in which failures lose the frames on their way: a log then ends with what went wrong.

    Errors of ours, and of files and networks, come out with their class and attributes, raised right here.
    They have what led to them as their ``__context__``, which no traceback shows. The whole traceback goes to
    the log at the level DEBUG. Anything else is a bug, or a wrong argument, and keeps its own.

    :param convert: Makes of an error of ours what is raised; by default the error itself.
    """

    # No generator: ``contextlib`` would put the frames back.
    def __init__(self, convert: Callable[[KieError], Exception] = lambda error: error) -> None:
        self._convert = convert

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from airflow_provider_kie.client.errors import KieError

        if not isinstance(error, KieError | OSError):
            return
        log.debug("The whole traceback of what ends this task", exc_info=error)
        error.with_traceback(None)
        # ``from None`` forgets the cause, which a retry policy may have to know.
        error.__context__ = error.__cause__ or error.__context__
        raise (self._convert(error) if isinstance(error, KieError) else error) from None


def fail_without_retry() -> PlainFailures:
    """
    Turn errors that no retry can mend into an ``AirflowFailException``, so that the task fails at once.

    :return: A context manager. What it raises has the
        :class:`~airflow_provider_kie.client.errors.KieError` as its ``__context__``: a wrong key, no credits,
        a refused request, a file that is gone, a connection with an unusable field.
    """
    return PlainFailures(_without_retry)


def _without_retry(error: KieError) -> Exception:
    from airflow_provider_kie.client.errors import KieBatchError

    if error.airflow_may_retry:
        return error
    # A batch's message names the class of each failure.
    name = "" if isinstance(error, KieBatchError) else f"{type(error).__name__}: "
    return AirflowFailException(f"{name}{error}")
