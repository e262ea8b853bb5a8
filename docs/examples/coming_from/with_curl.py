from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("with_curl", schedule="@daily"):
    BashOperator(
        task_id="upload",
        bash_command="""
            curl --fail --silent --header "Authorization: Bearer $KIE_API_KEY" \\
                --form uploadPath=movies --form file=@/data/photo.png \\
                https://kieai.redpandaai.co/api/file-stream-upload
        """,
        append_env=True,
    )
