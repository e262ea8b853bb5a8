"""Branching on the balance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_kie._tasks import KieBaseOperator, fail_without_retry

if TYPE_CHECKING:
    from airflow.sdk import BaseBranchOperator, Context
else:
    try:
        from airflow.sdk import BaseBranchOperator
    except ImportError:  # Airflow 3.1
        from airflow.providers.standard.operators.branch import BaseBranchOperator


class KieCreditsBranchOperator(KieBaseOperator, BaseBranchOperator):
    """
    Go one way if the account has enough credits, and another if not; free.

    :param threshold: Credits; enough means this many or more. (templated)
    :param follow_task_ids_if_true: Task or task group id, or several, for enough credits. (templated)
    :param follow_task_ids_if_false: The same for too few. (templated)
    :param kie_conn_id: Airflow connection. (templated)
    :return: The branch taken.
    :raises ValueError: The threshold is no number.
    :raises AirflowFailException: No retry can help, with a wrong key for example.
    :raises KieError: kie.ai could not be reached after all retries.

    kie.ai page: https://docs.kie.ai/common-api/get-account-credits
    """

    template_fields: Sequence[str] = (
        "threshold",
        "follow_task_ids_if_true",
        "follow_task_ids_if_false",
        "kie_conn_id",
    )
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        threshold: float | str,
        follow_task_ids_if_true: str | Iterable[str],
        follow_task_ids_if_false: str | Iterable[str],
        kie_conn_id: str = "kie_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.kie_conn_id = kie_conn_id

    def choose_branch(self, context: Context) -> str | Iterable[str]:
        """Ask for the balance and choose."""
        from airflow_provider_kie.decisions.credits import CreditsGoal
        from airflow_provider_kie.hooks.kie import KieHook

        goal = CreditsGoal.parse(self.threshold)
        with fail_without_retry():
            balance = KieHook(self.kie_conn_id).get_credits()
        met = goal.met_by(balance)
        self.log.info("The balance of %.15g credits is %s%s", balance, "" if met else "not ", goal)
        return self.follow_task_ids_if_true if met else self.follow_task_ids_if_false
