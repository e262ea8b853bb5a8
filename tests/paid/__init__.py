"""Paid jobs, judged by the simulator's ledger; ``KIE_PAID=full`` plays many more schedules."""

import os

FULL = os.environ.get("KIE_PAID") == "full"
