import json
import os
import time
from pathlib import Path

import requests
from airflow.sdk import DAG, task

API = "https://api.kie.ai"
UPLOADS = "https://kieai.redpandaai.co"

with DAG("with_requests", schedule="@daily"):

    @task
    def make_movie() -> None:
        kie = requests.Session()
        kie.headers["Authorization"] = f"Bearer {os.environ['KIE_API_KEY']}"

        with open("/data/photo.png", "rb") as photo:
            answer = kie.post(
                f"{UPLOADS}/api/file-stream-upload",
                data={"uploadPath": "movies"},
                files={"file": photo},
            )
        photo_url = answer.json()["data"]["downloadUrl"]

        body = {
            "model": "grok-imagine/image-to-video",
            "input": {"image_urls": [photo_url], "prompt": "wind in the trees"},
        }
        answer = kie.post(f"{API}/api/v1/jobs/createTask", json=body)
        job_id = answer.json()["data"]["taskId"]

        while True:
            time.sleep(5)
            record_url = f"{API}/api/v1/jobs/recordInfo?taskId={job_id}"
            record = kie.get(record_url).json()["data"]
            if record["state"] == "success":
                break
        movie_url = json.loads(record["resultJson"])["resultUrls"][0]

        answer = kie.post(f"{API}/api/v1/common/download-url", json={"url": movie_url})
        movie = requests.get(answer.json()["data"])
        Path("/data/movie.mp4").write_bytes(movie.content)

    make_movie()
