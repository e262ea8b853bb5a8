import json

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

with DAG("with_http_operator", schedule="@daily"):
    submit = HttpOperator(
        task_id="submit",
        http_conn_id="kie_http",
        endpoint="api/v1/jobs/createTask",
        headers={"Content-Type": "application/json"},
        data=json.dumps(
            {"model": "bytedance/seedream", "input": {"prompt": "a cat on a bicycle"}}
        ),
        response_filter=lambda response: response.json()["data"]["taskId"],
    )
    wait = HttpSensor(
        task_id="wait",
        http_conn_id="kie_http",
        endpoint="api/v1/jobs/recordInfo",
        request_params={"taskId": "{{ ti.xcom_pull('submit') }}"},
        response_check=lambda response: response.json()["data"]["state"] == "success",
        poke_interval=10,
        timeout=3600,
    )
    submit >> wait
