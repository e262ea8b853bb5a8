"""What is known of sensors that waited, in plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.processes import Usage

NOTHING = Usage(0, 0, 0.0)


@dataclass
class Phase:
    """
    How the triggerer's event loop fared for a while.

    :param seconds: Of the phase.
    :param starved: Seconds in which it was ready to run and had no processor.
    :param blocked: Seconds in each warning that it was blocked, and how many of them it was starved.
    """

    seconds: float
    starved: float
    blocked: list[tuple[float, float]]


@dataclass
class Lost:
    """
    What a killed triggerer cost.

    :param waiting: Sensors that waited with it.
    :param first: Seconds from the kill until another triggerer had resumed one of them.
    :param last: Seconds until it had resumed all of them.
    :param finished: Seconds until all of them had succeeded.
    """

    waiting: int
    first: float
    last: float
    finished: float


@dataclass
class Outage:
    """
    What it cost that the API answered nobody for a while.

    :param waiting: Sensors that waited through it.
    :param seconds: It lasted.
    :param requests: In that time.
    :param recovered: Seconds from its end until the balance was read again; None if it never was.
    :param window: Seconds of watching after that.
    :param after: Requests in that window.
    """

    waiting: int
    seconds: float
    requests: int
    recovered: float | None
    window: float
    after: int


@dataclass
class Waited:
    """
    What was measured of one kind of sensor.

    :param name: Of the kind.
    :param interval: Seconds between polls.
    :param deferring: Seconds until all of them waited.
    :param waiting: How many waited.
    :param idle: The triggerer without any; its ``cpu`` is per second.
    :param full: The triggerer with all of them; its ``cpu`` is per second.
    :param each: Bytes of memory that one sensor more took; None if there were too few to say.
    :param window: Seconds of watching them wait.
    :param requests: In that window.
    :param phases: How long each took and how the event loop fared.
    :param due: How many had to resume when the balance rose.
    :param resumed: Seconds from the rise until each of them had left the state ``deferred``.
    :param fired: Seconds from the rise until the trigger of each had fired.
    :param outage: What an outage cost; None where there was none.
    :param lost: What a killed triggerer cost; None before one is killed.
    :param wrong: What must not have happened.
    """

    name: str
    interval: float
    deferring: float = 0.0
    waiting: int = 0
    idle: Usage = NOTHING
    full: Usage = NOTHING
    each: float | None = None
    window: float = 0.0
    requests: int = 0
    phases: dict[str, Phase] = field(default_factory=dict)
    due: int = 0
    resumed: list[float] = field(default_factory=list)
    fired: list[float] = field(default_factory=list)
    outage: Outage | None = None
    lost: Lost | None = None
    wrong: list[str] = field(default_factory=list)
