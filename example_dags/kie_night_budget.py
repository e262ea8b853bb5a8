"""
Generate from a list of prompts until the night has cost so many credits; what is left over waits.

What a job costs is certain only when it is done, so the balance keeps the budget: what it was at the
beginning, less the budget, is what must be left. The prompts go in waves, and each asks before it begins;
so the last one may spend more than the budget, by its own price at the most. Whatever else the account pays
meanwhile counts, too. The only hard limit is a usage cap on the key, which kie.ai itself keeps
(kie.ai/api-key).

It needs the connection ``kie_default``, and a triggerer.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator

WAVES = 5

with DAG(
    "kie_night_budget",
    description="Generate until the night has cost so many credits",
    schedule="@daily",
    catchup=False,
    max_active_runs=1,  # two runs would each take the other's spending for their own
    params={
        "prompts": Param(["a cat", "a dog"], type="array", description="The most important first"),
        "model": Param("demo/image", type="string", description="Model that takes a prompt"),
        "credits": Param(100, type="number", minimum=0, description="What the night may cost"),
    },
    tags=["kie"],
) as dag:

    @task
    def find_floor(budget: str) -> float:
        """Return the balance that the night must leave."""
        return KieHook().get_credits() - float(budget)

    @task
    def inputs_of(wave: int, params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """List the inputs of a wave."""
        prompts = (params or {})["prompts"]
        size = -(-len(prompts) // WAVES)
        return [{"prompt": prompt} for prompt in prompts[wave * size : (wave + 1) * size]]

    left_over = EmptyOperator(task_id="left_over", trigger_rule="one_success")  # or tell somebody

    # [START howto_operator_kie_generate_budget]
    floor = find_floor("{{ params.credits }}")
    before: Any = floor
    for wave in range(WAVES):
        affordable = KieCreditsBranchOperator(
            task_id=f"affordable_{wave}",
            threshold=floor,
            follow_task_ids_if_true=f"inputs_{wave}",
            follow_task_ids_if_false="left_over",
            trigger_rule="all_done",  # failed jobs cost nothing, and do not end the night
        )
        inputs = inputs_of.override(task_id=f"inputs_{wave}")(wave)
        generate = KieGenerateOperator.partial(
            task_id=f"generate_{wave}", model="{{ params.model }}", deferrable=True
        ).expand(input=inputs)
        before >> affordable >> [inputs, left_over]
        before = generate
    # [END howto_operator_kie_generate_budget]
