"""How the last seconds of a task are shared out: Airflow kills it 5 seconds after it has asked it to end."""

from __future__ import annotations

KILL_SECONDS = 5.0
# How long it may take a task to notice.
LOOK_SECONDS = 0.1
# How long its threads get to finish; the other half is for Airflow, and for removing what they leave behind.
PATIENCE_SECONDS = KILL_SECONDS / 2
# How much of that a thread gets for its last request to a storage.
ABORT_SECONDS = 2.0
# How often a task can be asked to end while it is ending.
ATTEMPTS = 5
