"""What Airflow reads about this provider: the connection's form and the modules."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """
    Describe the provider to Airflow.

    :return: A dict that validates against Airflow's ``provider_info.schema.json``; its ``connection-types``
        also against the stricter ``provider.yaml.schema.json``.
    """
    return {
        "package-name": "airflow-provider-kie",
        "name": "kie.ai",
        "description": "Wait for kie.ai credits, upload, chat, generate and pay once, download results.",
        "integrations": [
            {"integration-name": "kie.ai", "external-doc-url": "https://docs.kie.ai", "tags": ["service"]}
        ],
        "hooks": [{"integration-name": "kie.ai", "python-modules": ["airflow_provider_kie.hooks.kie"]}],
        "operators": [
            {
                "integration-name": "kie.ai",
                "python-modules": [
                    "airflow_provider_kie.operators.chat",
                    "airflow_provider_kie.operators.credits",
                    "airflow_provider_kie.operators.files",
                    "airflow_provider_kie.operators.jobs",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "kie.ai",
                "python-modules": [
                    "airflow_provider_kie.sensors.credits",
                    "airflow_provider_kie.sensors.jobs",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "kie.ai",
                "python-modules": [
                    "airflow_provider_kie.triggers.credits",
                    "airflow_provider_kie.triggers.jobs",
                ],
            }
        ],
        "notifications": ["airflow_provider_kie.notifications.credits.KieLowCreditsNotifier"],
        "asset-uris": [
            {
                "schemes": ["kie", "kie+http"],
                "handler": None,
                "to_openlineage_converter": "airflow_provider_kie.assets.to_openlineage",
            }
        ],
        "extra-links": ["airflow_provider_kie.links.KieJobLink"],
        "connection-types": [
            {
                "connection-type": "kie",
                "hook-name": "kie.ai",
                "hook-class-name": "airflow_provider_kie.hooks.kie.KieHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "port"],
                    "relabeling": {"password": "API key", "host": "API base URL"},
                    "placeholders": {"host": "https://api.kie.ai", "password": "made at kie.ai/api-key"},
                },
                "conn-fields": _CONNECTION_FIELDS,
            }
        ],
    }


_CONNECTION_FIELDS = {
    "upload_base_url": {
        "label": "Upload base URL",
        "description": "Host that takes uploads; https://kieai.redpandaai.co if empty.",
        "schema": {"type": ["string", "null"], "format": "url"},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "How long kie.ai may be silent, and a call without a file take; 60 if empty.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "max_retries": {
        "label": "Retries",
        "description": "How often a request is repeated after a transient failure; 4 if empty.",
        "schema": {"type": ["integer", "null"], "minimum": 0},
    },
    "upload_retention_hours": {
        "label": "Upload retention (hours)",
        "description": "How long kie.ai keeps uploads; 24 if empty. Some of its documents say 72.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "uploaded_files_host": {
        "label": "Uploaded files' host",
        "description": "Host that serves uploaded files; tempfile.redpandaai.co if empty.",
        "schema": {"type": ["string", "null"]},
    },
    "chat_path": {
        "label": "Chat path",
        "description": "On the API host; /{model}/v1/chat/completions if empty, /api/v1/chat/completions on "
        "kieai.erweima.ai.",
        "schema": {"type": ["string", "null"]},
    },
}
