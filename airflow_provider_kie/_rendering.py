"""What rendered fields must not show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow.sdk.log import mask_secret

from airflow_provider_kie._compat import conf

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_QUERY_IN_TEXT = re.compile(r"""://[^\s?#"'<>]*\?([^\s#"'<>]*[^\s#"'<>.,;:!?)\]}])""")


def mask_queries(rendered: Any) -> None:
    """
    Have Airflow hide the queries of URLs: one may be a signature, and Airflow stores rendered fields.

    :param rendered: A field: text, or lists and dicts of it.
    """
    # Airflow cuts what it stores after masking it; each mask makes every line of the log slower. It stores
    # dicts sorted, before 3.3 as they are.
    most = conf.getint("core", "max_templated_field_length", fallback=4096)
    masked: set[str] = set()
    for texts in (_texts_in(rendered, by=str), _texts_in(rendered, by=None)):
        shown = 0
        for text in texts:
            queries = _queries_in(text)
            for query in filter(None, queries):
                if query not in masked:
                    mask_secret(query)
            masked.update(queries)
            shown += len(text) - sum(map(len, queries))
            if shown > most:
                break


def _queries_in(text: str) -> list[str]:
    if _URL.match(text):
        return [text.partition("?")[2].partition("#")[0]]
    return _QUERY_IN_TEXT.findall(text)


def _texts_in(value: Any, by: Callable[[Any], str] | None) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value, key=by) if by else value:
            yield from _texts_in(value[key], by)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        for one in value:
            yield from _texts_in(one, by)
