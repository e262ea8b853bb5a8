"""A simulated kie.ai in a shell, ``python -m airflow_provider_kie.simulator``, and its commands."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_kie.simulator.commands import CommandError, add_commands


def main(argv: Sequence[str] | None = None) -> None:
    """
    Serve until Ctrl-C or SIGTERM, or send a command to a simulator that is already running.

    :param argv: the arguments; by default those of the command line.
    :raises SystemExit: when the arguments are wrong, a port is busy or a command fails.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_kie.simulator",
        description="A small kie.ai on this machine. Without a command it serves; the line that it prints"
        " connects an Airflow in another shell.",
    )
    parser.add_argument("--port", type=int, default=0, help="first of three ports (default: any free ones)")
    parser.add_argument("--credits", type=float, default=100.0, help="the balance (default: 100)")
    parser.add_argument("--api-key", help="the key that is accepted (default: made at random)")
    parser.set_defaults(run=None)
    add_commands(parser)
    options = parser.parse_args(argv)
    try:
        if options.run:
            print(options.run(options))
        else:
            _serve(options)
    except CommandError as error:
        sys.exit(f"{parser.prog}: {error}")
    except (OSError, ValueError) as error:
        parser.error(str(error))


def _serve(options: argparse.Namespace) -> None:
    # A command does not need FastAPI and uvicorn.
    from airflow_provider_kie.simulator import KieSimulator

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with KieSimulator(options.credits, port=options.port, api_key=options.api_key) as kie:
        print(f"# A simulated kie.ai with {kie.credits:g} credits; Ctrl-C ends it.")
        print(f"# API {kie.api_url}, uploads {kie.upload_url}, generated files {kie.files_url}")
        print(f"export AIRFLOW_CONN_KIE_DEFAULT={shlex.quote(kie.connection())}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
