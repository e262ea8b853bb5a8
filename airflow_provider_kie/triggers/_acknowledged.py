"""Airflow's acknowledged shared streams, which say when events are stored; from Airflow 3.3 on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_kie.triggers._memory import Look


class AcknowledgedPoll(SharedStreamProducer):
    """
    A poll whose notes are written in order, once Airflow has stored what came of a look and of those before.

    :param looks: Looks at the balance, without an end.
    """

    def __init__(self, looks: AsyncGenerator[Look, None]) -> None:
        self._looks = looks

    async def open_stream(self) -> AsyncGenerator[tuple[Look, Look], None]:
        """
        Poll for ever.

        :return: Each look twice: for the watchers, and for :meth:`advance`.
        """
        async for look in self._looks:
            yield look, look

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Write the notes of looks that Airflow is done with.

        :param batch: Looks, and how many watchers have come through with each.
        :raises RuntimeError: One has not. Its event may be lost, and what it saw later must not be noted
            either; Airflow starts all watchers anew, from what was noted before.
        """
        for look, outcome in batch:
            if outcome.failed:
                raise RuntimeError(
                    "Airflow did not store an event in time; the watchers begin again before it"
                )
            for write in look.notes:
                await write()
