"""
Generate from a list of prompts until the night has spent its budget; then the rest is skipped.

The prompts go in waves. Before each the balance has to cover what the wave will cost and what the night must
leave: the balance at its beginning, less the budget. So the budget is kept as far as ``credits_per_job`` is
right, and nothing else spends from the account. The only hard limit is a usage cap on the key, which kie.ai
itself keeps (kie.ai/api-key).

It needs the connection ``kie_default``, and a triggerer.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.operators.credits import KieCreditsBranchOperator
from airflow_provider_kie.operators.files import KieDownloadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator

WAVES = 5

with DAG(
    "kie_night_budget",
    description="Generate until the night has spent its budget",
    schedule="@daily",
    catchup=False,
    max_active_runs=1,  # two runs would each take the other's spending for their own
    params={
        "prompts": Param(["a cat", "a dog"], type="array", description="The most important first"),
        "model": Param("demo/image", type="string", description="Model that takes a prompt"),
        "credits_per_job": Param(5, type="number", minimum=0, description="The model's price"),
        "credits": Param(100, type="number", minimum=0, description="What the night may cost"),
        "outbox": Param("/tmp/kie/outbox", type="string", description="Folder for the results"),
    },
    tags=["kie"],
) as dag:

    def size_of_a_wave(params: dict[str, Any]) -> int:
        """Return how many prompts go together."""
        return -(-len(params["prompts"]) // WAVES)

    @task
    def find_least(params: dict[str, Any] | None = None) -> float:
        """Return the balance that a wave needs to begin."""
        params = params or {}
        wave = size_of_a_wave(params) * params["credits_per_job"]
        least: float = KieHook().get_credits() - params["credits"] + wave
        return least

    @task
    def inputs_of(wave: int, params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """List the inputs of a wave."""
        params = params or {}
        size = size_of_a_wave(params)
        return [{"prompt": prompt} for prompt in params["prompts"][wave * size : (wave + 1) * size]]

    # The run fails if a job has failed, but the other waves go on.
    night_over = EmptyOperator(task_id="night_over", trigger_rule="none_failed")

    least = find_least()
    before: Any = least
    for wave in range(WAVES):
        affordable = KieCreditsBranchOperator(
            task_id=f"affordable_{wave}",
            threshold=least,
            follow_task_ids_if_true=f"inputs_{wave}",
            follow_task_ids_if_false=[],
            trigger_rule="all_done",
        )
        inputs = inputs_of.override(task_id=f"inputs_{wave}")(wave)
        generate = KieGenerateOperator.partial(
            task_id=f"generate_{wave}", model="{{ params.model }}", deferrable=True
        ).expand(input=inputs)
        download = KieDownloadOperator.partial(
            task_id=f"download_{wave}",
            destination=f"{{{{ params.outbox }}}}/{{{{ run_id }}}}/{wave}-{{{{ ti.map_index }}}}/",
        ).expand(file_url=generate.output.map(lambda job: job["urls"]))
        before >> affordable >> inputs
        [generate, download] >> night_over
        before = generate
