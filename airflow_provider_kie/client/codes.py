"""From kie.ai's codes to our errors: the one table."""

from __future__ import annotations

import re

from airflow_provider_kie.client.errors import (
    KieAuthError,
    KieError,
    KieFeatureDisabledError,
    KieInsufficientCreditsError,
    KieJobFailedError,
    KieNotFoundError,
    KieQuotaError,
    KieRateLimitError,
    KieResponseError,
    KieSourceError,
    KieUnavailableError,
    KieValidationError,
)

# From kie.ai's documents and recorded answers; any other code is classed by its hundred.
_BY_CODE: dict[int, type[KieError]] = {
    400: KieValidationError,
    401: KieAuthError,
    402: KieInsufficientCreditsError,
    403: KieAuthError,
    404: KieNotFoundError,
    405: KieValidationError,
    408: KieJobFailedError,
    410: KieNotFoundError,
    413: KieValidationError,
    422: KieValidationError,
    429: KieRateLimitError,
    430: KieRateLimitError,
    433: KieQuotaError,
    451: KieSourceError,
    455: KieUnavailableError,
    500: KieUnavailableError,
    501: KieJobFailedError,
    505: KieFeatureDisabledError,
    531: KieJobFailedError,
}
_BY_HUNDRED: dict[int, type[KieError]] = {4: KieValidationError, 5: KieUnavailableError}

# kie.ai also uses code 500 and, on the legacy host, 429 to say that the credits are used up.
_SAYS_NO_CREDITS = re.compile(
    r"(insufficient|not (have )?enough)[\w ]{0,20}\b(credit|balance)"
    r"|\b(credits?|balance)\b[\w ]{0,20}(insufficient|not enough|exhausted)"
    r"|exhausted times",
    re.IGNORECASE,
)
_SAYS_TOO_OFTEN = re.compile(r"frequency|too many|rate.{0,10}(limit|exceed)", re.IGNORECASE)
_SAYS_NO_FETCH = re.compile(r"\b(fetch|download)", re.IGNORECASE)
_MAY_MEAN_NO_CREDITS = frozenset({402, 429, 430, 500})


def error_class(code: int, message: str = "") -> type[KieError]:
    """
    Return the error class for an answer.

    :param code: The body's ``code``, else the HTTP status.
    :param message: The body's ``msg``.
    :return: A class below :class:`KieError`.
    """
    if code in _MAY_MEAN_NO_CREDITS and _SAYS_NO_CREDITS.search(message):
        return KieInsufficientCreditsError
    if code in (400, 500) and _SAYS_NO_FETCH.search(message):
        return KieSourceError
    if code == 405 and _SAYS_TOO_OFTEN.search(message):
        return KieRateLimitError
    return _BY_CODE.get(code) or _BY_HUNDRED.get(code // 100) or KieResponseError
