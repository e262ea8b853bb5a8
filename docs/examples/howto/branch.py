from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_kie.operators.credits import KieCreditsBranchOperator

with DAG("branch_on_credits", schedule="@daily"):
    enough_credits = KieCreditsBranchOperator(
        task_id="enough_credits",
        threshold=50,
        follow_task_ids_if_true="work",
        follow_task_ids_if_false="tell_somebody",
    )
    work = EmptyOperator(task_id="work")
    tell_somebody = EmptyOperator(task_id="tell_somebody")
    both = EmptyOperator(task_id="both", trigger_rule="none_failed_min_one_success")

    enough_credits >> [work, tell_somebody] >> both
