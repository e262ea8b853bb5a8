"""The connection's form for Airflow 3.1; from 3.2 on Airflow reads the provider info itself."""

from __future__ import annotations

from typing import Any

from airflow_provider_kie.get_provider_info import get_provider_info


def widgets() -> dict[str, Any]:
    """
    Give the form's own fields.

    :return: A WTForms field for each name.
    """
    from wtforms import IntegerField, StringField, validators

    kinds = {"string": StringField, "integer": IntegerField}
    return {
        name: kinds[field["schema"]["type"][0]](
            field["label"], validators=[validators.Optional()], description=field["description"]
        )
        for name, field in _connection_type()["conn-fields"].items()
    }


def field_behaviour() -> dict[str, Any]:
    """
    Give what the form makes of the fields that every connection has.

    :return: Labels, placeholders and hidden fields.
    """
    behaviour = _connection_type()["ui-field-behaviour"]
    return {key.replace("-", "_"): value for key, value in behaviour.items()}


def _connection_type() -> dict[str, Any]:
    info: dict[str, Any] = get_provider_info()["connection-types"][0]
    return info
