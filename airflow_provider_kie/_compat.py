"""What moved between releases of Airflow, from 3.1 on, in one place for the modules that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Connection, RetryDecision, RetryPolicy, conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowRuntimeError,
        AirflowSensorTimeout,
        AirflowSkipException,
        TaskDeferralError,
        TaskDeferralTimeout,
    )

    NO_SUCH_CONNECTION: tuple[type[Exception], ...] = (AirflowNotFoundException,)
    HAS_RETRY_POLICIES: bool
    HAS_RESCHEDULE: bool
else:
    try:
        from airflow.sdk import conf
        from airflow.sdk.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowRescheduleException,
            AirflowRuntimeError,
            AirflowSensorTimeout,
            AirflowSkipException,
            TaskDeferralError,
            TaskDeferralTimeout,
        )

        NO_SUCH_CONNECTION = (AirflowNotFoundException,)
    except ImportError:  # Airflow 3.1
        from airflow.configuration import conf
        from airflow.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowRescheduleException,
            AirflowSensorTimeout,
            AirflowSkipException,
            TaskDeferralError,
            TaskDeferralTimeout,
        )
        from airflow.sdk.exceptions import AirflowRuntimeError

        # Outside a task, 3.1 looks for a supervisor to ask, and trips over its own import.
        NO_SUCH_CONNECTION = (AirflowNotFoundException, ImportError)

    try:
        from airflow.sdk import RetryDecision, RetryPolicy

        HAS_RETRY_POLICIES = True
    except ImportError:  # before Airflow 3.3
        RetryDecision, RetryPolicy = None, object
        HAS_RETRY_POLICIES = False

    HAS_RESCHEDULE = hasattr(RetryDecision, "reschedule")  # from Airflow 3.4 on


def get_stats() -> Any:
    """
    Get Airflow's metrics.

    :return: An object with ``incr``, ``gauge`` and ``timing``.
    """
    try:
        from airflow.sdk.observability.stats import Stats
    except ImportError:  # Airflow 3.1
        from airflow.stats import Stats
    return Stats


def get_lineage_collector() -> Any | None:
    """
    Get what collects lineage.

    :return: An object with ``add_input_asset`` and ``add_output_asset``; None where no plugin wants to know.
        Airflow has one for that as well, but makes it with all providers' assets: half a second, for nobody.
    """
    try:
        from airflow.sdk.lineage import get_hook_lineage_collector
        from airflow.sdk.plugins_manager import get_hook_lineage_readers_plugins
    except ImportError:  # Airflow 3.1
        from airflow import plugins_manager
        from airflow.lineage.hook import get_hook_lineage_collector  # type: ignore[no-redef, import-not-found]

        plugins_manager.initialize_hook_lineage_readers_plugins()  # type: ignore[attr-defined]
        readers = plugins_manager.hook_lineage_reader_classes  # type: ignore[attr-defined]
    else:
        readers = get_hook_lineage_readers_plugins()
    return get_hook_lineage_collector() if readers else None


async def aget_connection(conn_id: str) -> Connection:
    """
    Get a connection without blocking the event loop.

    :param conn_id: Its id.
    :return: The connection.
    """
    from airflow.sdk import BaseHook, Connection

    if hasattr(Connection, "aextra_dejson"):
        return await BaseHook.aget_connection(conn_id)
    # Before 3.3, masking the connection's secrets is a synchronous call that an event loop must not make.
    from asgiref.sync import sync_to_async

    return await sync_to_async(BaseHook.get_connection)(conn_id)


__all__ = [
    "HAS_RESCHEDULE",
    "HAS_RETRY_POLICIES",
    "NO_SUCH_CONNECTION",
    "AirflowFailException",
    "AirflowRescheduleException",
    "AirflowRuntimeError",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "RetryDecision",
    "RetryPolicy",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "aget_connection",
    "conf",
    "get_lineage_collector",
    "get_stats",
]
