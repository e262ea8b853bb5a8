"""How Sphinx builds these pages; nothing here asks the internet."""

from __future__ import annotations

import os
import tempfile

import airflow_provider_kie

# Reading the docstrings imports Airflow, which would set up a home in the reader's own.
_home = tempfile.TemporaryDirectory(prefix="kie-docs-")
os.environ["AIRFLOW_HOME"] = _home.name

project = "airflow-provider-kie"
author = "the airflow-provider-kie authors"
version = release = airflow_provider_kie.__version__

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build", "examples"]
default_role = "literal"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"

# A reference to one of our own names that does not exist fails the build; those of others are not linked.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(airflow|collections|contextlib|datetime|dict|httpx|os|pathlib|typing)\b.*"),
    (r"py:.*", r"(Airflow|File|IsA|OS|Permission|Runtime|Value)\w+"),
    (
        r"py:.*",
        r"(.*\.)?(Condition|Deadline|IfExists|Location|ObjectStoragePath|OnDoubt|Readable|Record|Sign|T|UploadMethod|timedelta)",
    ),
]

# What a shell prints before and after a command is not copied.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"kie.ai for Airflow {version}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
