"""What a failed poll means for whoever waits, without I/O: poke, first poke and trigger all ask here."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_kie.client.errors import KieConnectionNotFoundError, KieError

# What kie.ai itself says of a key, and no waiting mends: it is wrong, or its own usage cap is reached.
FINAL_CODES = frozenset({401, 433})
# Anything else that looks permanent may be a proxy's page, or one odd answer among thousands.
LIMIT = 3
# Airflow does not tell a connection that is missing from one that it cannot look up: outages last longer.
LOOKUP_LIMIT = 10


def limit_of(error: KieError) -> int | None:
    """
    Say how many failures of this sort in a row end the waiting.

    :param error: Why a poll failed.
    :return: How many; None if they never do, so that only the timeout ends it.
    """
    if isinstance(error, KieConnectionNotFoundError):
        return LOOKUP_LIMIT
    if error.transient:
        return None
    return 1 if error.said_by_kie and error.code in FINAL_CODES else LIMIT


@dataclass(frozen=True)
class Misses:
    """
    Failures of one sort in a row; anything else in between begins a new row.

    :param limit: How many of them end the waiting; None for those that never do.
    :param count: How many there have been.
    """

    limit: int | None = None
    count: int = 0

    def after(self, error: KieError) -> Misses:
        """
        Take a failed poll into account.

        :param error: Why it failed.
        :return: The row that it continues or begins.
        """
        limit = limit_of(error)
        return Misses(limit, self.count + 1 if limit == self.limit else 1)

    @property
    def end_the_waiting(self) -> bool:
        """Tell whether these are too many."""
        return self.limit is not None and self.count >= self.limit
