"""How a failure that no retry can mend is told to Airflow, by all operators alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_kie._compat import AirflowFailException


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """
    Turn errors that no retry can mend into an ``AirflowFailException``, so that the task fails at once.

    :raises AirflowFailException: From the :class:`~airflow_provider_kie.client.errors.KieError`: a wrong key,
        no credits, a refused request, a file that is gone, a connection with an unusable field.
    """
    from airflow_provider_kie.client.errors import KieBatchError, KieError

    try:
        yield
    except KieError as error:
        if error.airflow_may_retry:
            raise
        # A batch's message names the class of each failure.
        name = "" if isinstance(error, KieBatchError) else f"{type(error).__name__}: "
        raise AirflowFailException(f"{name}{error}") from error
