"""
What can go wrong with kie.ai, as one tree of exceptions.

::

    KieError
    ├── KieConfigError (also ValueError)     our own settings are unusable; nothing was sent
    │   └── KieConnectionNotFoundError transient Airflow found no connection, or could not look just now
    ├── KieAuthError                         401, 403: key missing or wrong
    ├── KieInsufficientCreditsError          402, and 429, 430, 500 where the message says so
    ├── KieQuotaError                        433: the sub-key's usage cap is reached
    ├── KieValidationError                   400, 405, 413, 422: the request itself is refused
    │   └── KieSourceError                   451, and 500 that says so: a URL could not be fetched
    ├── KieNotFoundError                     404, 410: no such path, record or file
    │   └── KieJobNotFoundError              no record of a job: too new, or of another api
    ├── KieFeatureDisabledError              505
    ├── KieJobError                          about a job, which may cost credits
    │   ├── KieJobFailedError                408, 501, 531, and records that say so: it ended without a result
    │   ├── KieJobTimeoutError               it still runs, and will be billed
    │   └── KieInDoubtError                  it may have been accepted, or may not
    ├── KieSignatureError                    a callback that kie.ai cannot be shown to have sent
    ├── KieCancelledError                    we stopped it ourselves
    ├── KieBatchError                        some files of a batch failed
    ├── KieRateLimitError          transient 429, 430 (and 405 on the old Suno endpoints)
    ├── KieUnavailableError        transient 455 maintenance, 500, 524, 550 and other 5xx
    │   └── KieGatewayError        transient a proxy answered in place of kie.ai: a 5xx without its JSON
    ├── KieConnectionError         transient no answer: refused, timed out, cut off; not transient: distrusted
    ├── KieTransferError           transient a file did not arrive whole, or (not transient) is refused
    └── KieResponseError                     not an answer that kie.ai documents; transient if it is a 2xx
        ├── KieNoDataError                   success without the promised data
        └── KieGatewayError

*Transient* means that the same request may succeed later. Whether and when a request is repeated is decided
in :mod:`airflow_provider_kie.client.retries`.

kie.ai page: https://docs.kie.ai/common-api/quickstart (status codes)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

QUOTE_LIMIT = 300
_LISTED = 20


class KieError(Exception):
    """
    Anything that went wrong with kie.ai.

    :param message: What happened.
    :param code: kie.ai's code for it (the body's, else the HTTP status); None if no answer came.
    :param retry_after: Seconds that kie.ai asked to wait, if it did.
    :param transient: Whether the same request may succeed later; each class has its default.
    :param said_by_kie: Whether kie.ai itself sent this code, in its JSON; False if a proxy may have.
    """

    transient: bool = False
    permanent: bool = False  # no later try of the task helps either, unless the error is transient
    lookup_failed: bool = False  # it was Airflow that could not look up the connection
    unknown_job: bool = False  # kie.ai knows no such job, as right after its submission
    never_sent: bool = False  # the request cannot have reached kie.ai
    ended_job: bool = False  # a job has ended without a result
    remedy: str = ""  # what to do, told first: Airflow's UI cuts long lines
    hint: str = ""  # what follows, told last

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
        transient: bool | None = None,
        said_by_kie: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.said_by_kie = said_by_kie
        if transient is not None:
            self.transient = transient

    def __str__(self) -> str:
        return " ".join(part for part in (self.remedy, super().__str__(), self.hint) if part)

    @property
    def airflow_may_retry(self) -> bool:
        """Whether a later try of the task may succeed."""
        return self.transient or not self.permanent

    def saying(self, message: str) -> Self:
        """
        Change the message and nothing else: code, wait, origin and traceback stay.

        :param message: What happened, without remedy and hint.
        :return: This error, to be raised again.
        """
        self.args = (message,)
        return self

    def to_event(self) -> dict[str, Any]:
        """
        Convert to what an event can carry.

        :return: Class, message, code, and whether kie.ai itself said so, JSON-safe.
        """
        return {
            "error": type(self).__name__,
            "message": self.args[0],
            "code": self.code,
            "said_by_kie": self.said_by_kie,
        }


class KieConfigError(KieError, ValueError):
    """A field of the connection, or a variable of the environment, is unusable; nothing was sent."""

    permanent = True


class KieConnectionNotFoundError(KieConfigError):
    """
    The connection does not exist, or Airflow could not look it up just now; nothing was sent.

    Airflow reports both the same way, so an outage of its own looks like a missing connection.
    """

    transient = True
    lookup_failed = True


class KieAuthError(KieError):
    """kie.ai refused the key."""

    permanent = True
    remedy = "Check the API key, the password of the Airflow connection; keys are made at kie.ai/api-key."


class KieInsufficientCreditsError(KieError):
    """The account has too few credits."""

    permanent = True
    remedy = "Top up the account at kie.ai, or wait for the balance with KieCreditsSensor."


class KieQuotaError(KieError):
    """The key has reached its own usage cap, whatever the account's balance."""

    permanent = True
    remedy = "Raise the cap of this key at kie.ai/api-key, or use another key."


class KieValidationError(KieError):
    """kie.ai refused the request itself; sending it again cannot help."""

    permanent = True


class KieSourceError(KieValidationError):
    """A URL could not be fetched, by kie.ai or, with ``method="stream"``, by this worker."""


class KieNotFoundError(KieError):
    """No such path, record or file; temporary files may have expired."""

    permanent = True


class KieJobNotFoundError(KieNotFoundError):
    """kie.ai has no record of the job: it is too new, or was submitted to another ``api``."""

    unknown_job = True


class KieFeatureDisabledError(KieError):
    """kie.ai has switched this feature off."""

    permanent = True


class KieJobError(KieError):
    """
    Something about a job, which may cost credits.

    :param job_id: The job; None if kie.ai's answer with its id was lost.
    :param credits: What kie.ai's record says of its price, as far as that is known.
    """

    def __init__(
        self, message: str, *, job_id: str | None = None, credits: float | None = None, **more: Any
    ) -> None:
        super().__init__(message, **more)
        self.job_id = job_id
        self.credits = credits

    def to_event(self) -> dict[str, Any]:
        """Convert to what an event can carry; with the job, its price and whether the reason may pass."""
        known = {"job_id": self.job_id, "credits": self.credits, "transient": self.transient}
        return super().to_event() | known


class KieJobFailedError(KieJobError):
    """A job ended without a result, which costs nothing; transient if the reason may pass."""

    permanent = True
    ended_job = True


class KieJobTimeoutError(KieJobError):
    """The waiting is over and the job is not: it still runs, and will be billed."""

    hint = "From Airflow 3.3 on a retry of the task goes on waiting for it; a KieJobSensor with its id does."


class KieInDoubtError(KieJobError):
    """A job may have been accepted, and will be billed then, or may not: nobody but a person can tell."""

    permanent = True
    hint = "Look for it at https://kie.ai/logs; submitting anew, as clearing the task does, may cost again."


class KieSignatureError(KieError):
    """A callback that kie.ai cannot be shown to have sent, or not just now; the message says why."""

    permanent = True


class KieCancelledError(KieError):
    """What was running was stopped on our side, because its task was."""


class KieBatchError(KieError):
    """
    Some files of a batch failed; all were tried.

    :param failures: Each failed file with its error; the batch is transient if one of these is.
    :param total: How many files the batch has.
    """

    def __init__(self, failures: Sequence[tuple[str, Exception]], total: int) -> None:
        lines = [f"\n  {file}: {type(error).__name__}: {error}" for file, error in failures[:_LISTED]]
        more = f"\n  and {len(failures) - _LISTED} more" if len(failures) > _LISTED else ""
        done = total - len(failures)
        super().__init__(f"{len(failures)} of {total} files failed, {done} are done:{''.join(lines)}{more}")
        self.failures = list(failures)
        # Errors that are not ours, such as a full disk, may pass too.
        self.transient = any(getattr(error, "transient", True) for _, error in failures)

    @property
    def airflow_may_retry(self) -> bool:
        """As for any error, of each of the failures; what is none of ours may pass."""
        return any(getattr(error, "airflow_may_retry", True) for _, error in self.failures)


class KieRateLimitError(KieError):
    """Too many requests."""

    transient = True


class KieUnavailableError(KieError):
    """kie.ai is in maintenance or failing."""

    transient = True


class KieConnectionError(KieError):
    """
    No answer came from kie.ai.

    :param never_sent: True if the request cannot have reached kie.ai (refused, not connected).
    :param transient: False if only a change of the environment helps: an untrusted certificate, a proxy that
        refuses.
    """

    transient = True

    def __init__(self, message: str, *, never_sent: bool = False, transient: bool | None = None) -> None:
        super().__init__(message, transient=transient)
        self.never_sent = never_sent


class KieTransferError(KieError):
    """A file's bytes did not arrive whole."""

    transient = True


class KieResponseError(KieError):
    """An answer that is not what kie.ai documents: not JSON, too large, or success without its data."""


class KieNoDataError(KieResponseError):
    """Success without the promised data."""


class KieGatewayError(KieUnavailableError, KieResponseError):
    """A 5xx answer that is not kie.ai's JSON: a proxy answered in its place, usually in HTML."""


def quote(text: str) -> str:
    """
    Make a piece of an answer fit for a message: one line, at most 300 characters, no links.

    :param text: Text from outside; a link in it may be a signed one, so only its scheme is kept.
    :return: The quotable text.
    """
    without_links = re.sub(r"(https?:)[^\s\"<>]+", r"\1//...", text[: 20 * QUOTE_LIMIT], flags=re.IGNORECASE)
    printable = "".join(char if char.isprintable() else " " for char in without_links)
    line = " ".join(printable.split())
    return line if len(line) <= QUOTE_LIMIT else line[: QUOTE_LIMIT - 3] + "..."
