"""Files at kie.ai as assets, ``kie://<host>/<path>``, told to OpenLineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.sdk import Asset

_SCHEMES = {"kie": "https", "kie+http": "http"}


def to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """
    Convert an asset, for Airflow's OpenLineage provider.

    :param asset: Asset of the scheme ``kie``, or ``kie+http`` for a stand-in for kie.ai on this machine.
    :param lineage_context: Who has reported it.
    :return: OpenLineage's dataset: its namespace is the host's URL, its name the path, its tags what is known
        of the file; None if the asset names no file.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from openlineage.client.facet_v2 import tags_dataset  # type: ignore[import-not-found]

    parts = urlsplit(asset.uri)
    if not parts.netloc or not parts.path.strip("/"):
        return None
    tags = [
        tags_dataset.TagsDatasetFacetFields(key=f"kie.{name}", value=str(value), source="AIRFLOW")
        for name, value in asset.extra.items()
    ]
    facets = {"tags": tags_dataset.TagsDatasetFacet(tags=tags)} if tags else {}
    return Dataset(f"{_SCHEMES[parts.scheme]}://{parts.netloc}", parts.path, facets=facets)
