"""What the events of a task's outlets carry: its result, for the DAGs that they start."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

log = logging.getLogger(__name__)

# Of all a result's values together; Airflow keeps each event in its database, and shows it.
EXTRA_BYTES = 16 * 1024


def add_result_to_outlet_events(task: BaseOperator, context: Context, result: Any) -> None:
    """
    Put a result into the events of a task's outlets.

    :param task: The task; its outlets that are neither assets nor references to one, aliases for example, are
        left to the DAG's author.
    :param context: The task's context.
    :param result: What the task returns: a dict, or a list of dicts. A failure here is logged only.
    """
    from airflow.sdk import Asset
    from airflow.sdk.definitions.asset import AssetRef

    try:
        for outlet in task.outlets:
            if isinstance(outlet, Asset | AssetRef):
                context["outlet_events"][outlet].extra.update(extra_of(result))
    except Exception as error:
        log.warning("The events of the task's outlets lack its result: %s: %s", type(error).__name__, error)


def extra_of(result: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Give what an event says of a result.

    :param result: What a task returns.
    :return: Its keys; of a list ``files``, how many, ``size``, in bytes, and ``results``. Where this is more
        than 16 KiB the largest values are missing, and ``left_out`` names them.
    """
    if isinstance(result, Mapping):
        values = dict(result)
    else:
        size = sum(one.get("file_size") or one.get("size") or 0 for one in result)
        values = {"files": len(result), "size": size, "results": list(result)}
    sizes = {name: len(json.dumps(value)) for name, value in values.items()}
    left_out: list[str] = []
    while sum(sizes.values()) > EXTRA_BYTES:
        left_out.append(max(sizes, key=lambda name: sizes[name]))
        del sizes[left_out[-1]]
    extra = {name: values[name] for name in sizes}
    return extra | {"left_out": left_out} if left_out else extra
