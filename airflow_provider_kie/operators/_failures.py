"""Which failures Airflow should not retry; decided here for all operators."""

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
    except KieBatchError as error:
        if not all(_no_retry_helps(each) for _, each in error.failures):
            raise
        raise AirflowFailException(str(error)) from error
    except KieError as error:
        if not _no_retry_helps(error):
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def _no_retry_helps(error: Exception) -> bool:
    from airflow_provider_kie.client import errors

    permanent = (
        errors.KieAuthError,
        errors.KieConfigError,
        errors.KieFeatureDisabledError,
        errors.KieInsufficientCreditsError,
        errors.KieNotFoundError,
        errors.KieQuotaError,
        errors.KieTaskFailedError,
        errors.KieValidationError,
    )
    return isinstance(error, permanent) and not error.transient
