from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points, metadata
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_kie
from airflow_provider_kie.get_provider_info import get_provider_info
from airflow_provider_kie.hooks.kie import KieHook
from airflow_provider_kie.operators.chat import KieChatOperator
from airflow_provider_kie.operators.files import KieDownloadOperator, KieUploadOperator
from airflow_provider_kie.operators.jobs import KieGenerateOperator
from airflow_provider_kie.sensors.credits import KieCreditsSensor
from airflow_provider_kie.sensors.jobs import KieJobSensor
from tests.structure.classes import classes_of, modules_of

INFO = get_provider_info()
CONNECTION_TYPE = INFO["connection-types"][0]


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(airflow.__file__).with_name(name).read_text())
    return loaded


def test_the_info_is_what_airflows_own_schema_wants() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_the_connection_type_is_what_the_stricter_schema_wants() -> None:
    strict = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    if "conn-fields" not in strict["items"]["properties"]:
        pytest.skip("this Airflow reads the form from the hook")
    jsonschema.validate(INFO["connection-types"], strict)


def test_airflow_finds_the_provider_by_its_entry_point_and_name() -> None:
    (entry_point,) = [ep for ep in entry_points(group="apache_airflow_provider") if "kie" in ep.value]
    assert entry_point.load() is get_provider_info
    assert INFO["package-name"] == metadata("airflow-provider-kie")["Name"]


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_is_listed_once(kind: str) -> None:
    (entry,) = INFO[kind]
    assert sorted(entry["python-modules"]) == modules_of(kind)
    assert entry["integration-name"] in {
        integration["integration-name"] for integration in INFO["integrations"]
    }


def test_every_notifier_is_listed_once() -> None:
    notifiers = [f"{found.__module__}.{found.__qualname__}" for found in classes_of("notifications")]
    assert sorted(INFO.get("notifications", [])) == notifiers


def test_the_links_are_those_of_jobs() -> None:
    links = []
    for path in INFO["extra-links"]:
        module, _, name = path.rpartition(".")
        links.append(getattr(importlib.import_module(module), name))
    for kind in (KieGenerateOperator, KieJobSensor):
        assert [type(link) for link in kind.operator_extra_links] == links
    for other in (KieUploadOperator, KieDownloadOperator, KieChatOperator, KieCreditsSensor):
        assert list(other.operator_extra_links) == []


def test_the_converter_of_lineage_exists() -> None:
    for entry in INFO["asset-uris"]:
        module, _, name = entry["to_openlineage_converter"].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_hook_is_the_connection_types() -> None:
    assert CONNECTION_TYPE["hook-class-name"] == f"{KieHook.__module__}.{KieHook.__qualname__}"
    assert CONNECTION_TYPE["connection-type"] == KieHook.conn_type
    assert CONNECTION_TYPE["hook-name"] == KieHook.hook_name


def test_the_form_of_airflow_3_1_agrees_with_the_data() -> None:
    widgets = KieHook.get_connection_form_widgets()
    assert list(widgets) == list(CONNECTION_TYPE["conn-fields"])
    for name, field in CONNECTION_TYPE["conn-fields"].items():
        widget = widgets[name]
        assert widget.args == (field["label"],)
        assert widget.kwargs["description"] == field["description"]
        assert widget.field_class.__name__ == f"{field['schema']['type'][0].capitalize()}Field"
    assert KieHook.get_ui_field_behaviour() == {
        key.replace("-", "_"): value for key, value in CONNECTION_TYPE["ui-field-behaviour"].items()
    }


# 3.2's own, about how it reads the hooks of all providers.
@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_airflow_shows_the_form_without_complaint() -> None:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (meta,) = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "kie"]
    assert meta.hook_class_name == CONNECTION_TYPE["hook-class-name"]
    assert meta.extra_fields is not None
    assert list(meta.extra_fields) == [
        "upload_base_url",
        "timeout",
        "max_retries",
        "upload_retention_hours",
        "uploaded_files_host",
        "chat_path",
    ]
    assert meta.standard_fields is not None
    assert meta.standard_fields.password is not None
    assert meta.standard_fields.password.title == "API key"
    assert meta.standard_fields.login is not None
    assert meta.standard_fields.login.hidden


def test_the_version_is_the_packages() -> None:
    assert metadata("airflow-provider-kie")["Version"] == airflow_provider_kie.__version__
