"""The simulator's paid jobs as its users see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_kie.simulator.callbacks import Callback
from airflow_provider_kie.simulator.jobs import FAIL_MSG, Model, SimulatedJob
from airflow_provider_kie.simulator.state import State


class PaidJobs:
    """The part of ``KieSimulator`` that is about jobs and what they cost."""

    _state: State

    @property
    def jobs(self) -> list[SimulatedJob]:
        """The creations that were accepted, in order, and what each cost; a snapshot."""
        return self._state.ledger.jobs()

    def finish_jobs(self) -> None:
        """End every running job now, as its model says."""
        self._state.ledger.finish()

    @property
    def creation_limit(self) -> int | None:
        """How many creations kie.ai takes in 10 s, 20 by default; None for any number; settable."""
        return self._state.ledger.creation_limit

    @creation_limit.setter
    def creation_limit(self, limit: int | None) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"creation_limit must be 1 or more, or None, not {limit}.")
        self._state.ledger.creation_limit = limit

    @property
    def webhook_key(self) -> str | None:
        """The key that callbacks are signed with; None, as by default, for no signature; settable."""
        return self._state.webhook_key

    @webhook_key.setter
    def webhook_key(self, key: str | None) -> None:
        self._state.webhook_key = key

    @property
    def callbacks(self) -> list[Callback]:
        """
        The callbacks posted so far, each try of them; a snapshot.

        They go to this machine only. One to another machine is in the list at once, without a body.
        """
        return self._state.callbacks()

    def add_model(
        self,
        name: str,
        *,
        seconds: float = 2.0,
        credits: float = 5.0,
        hold: float | None = None,
        fail: int | tuple[int, str] | None = None,
        files: Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None = None,
        output: Mapping[str, Any] | None = None,
        required: Mapping[str, type] | None = None,
        word: str | int | None = None,
        unknown_seconds: float = 0.0,
    ) -> None:
        """
        Say what happens to the jobs of a model from now on; of a model that nobody added, the defaults.

        :param name: Market's model, or the api that stands for a family, such as ``veo`` or ``suno-lyrics``.
        :param seconds: how long a job takes.
        :param credits: what it costs.
        :param hold: credits held while it runs, at least the price; by default the price.
        :param fail: the code, or code and message, that a job fails with; the credits are given back then.
        :param files: the names and bytes that it generates; by default a small one, as fits the family.
        :param output: more keys of the result, such as ``resultObject``.
        :param required: fields of the input that must be there, with their JSON types: ``{"prompt": str}``.
        :param word: the record's state once a job has ended, in place of the family's own, such as
            ``CALLBACK_EXCEPTION``.
        :param unknown_seconds: how long after its creation a job's record says that there is no such job.
        :raises ValueError: for numbers below 0 or not finite, and a hold below the price.
        """
        pairs = files.items() if isinstance(files, Mapping) else files
        self._state.ledger.models[name] = Model(
            seconds=float(seconds),
            credits=float(credits),
            hold=None if hold is None else float(hold),
            fail=(fail, FAIL_MSG) if isinstance(fail, int) else fail,
            files=None if pairs is None else tuple(pairs),
            output=dict(output or {}),
            required=dict(required or {}),
            word=word,
            unknown_seconds=float(unknown_seconds),
        )
