"""How the last seconds of a task are shared out: Airflow kills it 5 seconds after it has asked it to end."""

from __future__ import annotations

KILL_SECONDS = 5.0
# How long it may take a task to notice.
LOOK_SECONDS = 0.1
# What its threads have for coming to an end; the other half is Airflow's, and for what they leave behind.
PATIENCE_SECONDS = KILL_SECONDS / 2
# What a thread has of that for the last request to a storage.
ABORT_SECONDS = 2.0
# How long a task that nobody has asked to end waits for Airflow's state store when its work is done.
STORE_SECONDS = 30.0
