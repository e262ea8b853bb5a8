import os

from airflow_provider_kie.client import KieClient, KieSettings
from airflow_provider_kie.client.api import credits

with KieClient(KieSettings(api_key=os.environ["KIE_API_KEY"])) as client:
    print(client.send(credits.get_credits()))
