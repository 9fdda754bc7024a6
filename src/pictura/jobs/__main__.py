"""`python -m pictura.jobs`: one worker, until it is told to stop or the program that started it is gone.

The database and the place of pictures are those of ``$PICTURA_DATABASE`` and ``$PICTURA_FILES``.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from pictura.core.errors import PicturaError
from pictura.engine.models import WarmModels
from pictura.jobs.queue import Queue
from pictura.jobs.worker import Stop, Worker
from pictura.store.database import Database
from pictura.store.files import Files

log = logging.getLogger("pictura.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Work; the exit code is 0 after being told to stop."""
    parser = argparse.ArgumentParser(prog="python -m pictura.jobs", description="Paint what the queue holds.")
    parser.add_argument("--name", help="of the worker; host and process unless given")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="what computes")
    parser.add_argument("--calls", type=int, help="network calls at a time; measured unless given")
    parser.add_argument("--cores", type=int, help="of the CPU; all that there are unless given")
    parser.add_argument("--warm", help="a model to load before the first job")
    parser.add_argument("--parent", type=int, help="process whose end ends this worker")
    parser.add_argument("--lease", type=float, default=30.0, metavar="SECONDS", help="see docs/jobs.md")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = Stop()
    try:
        database = Database.open()
        models = WarmModels(device=asked.device, num_cores=asked.cores, num_calls=asked.calls)
        worker = Worker(Queue(database, Files()), models, name=asked.name, lease_s=asked.lease)
        if asked.warm:
            _warm(models, asked.warm)
        worker.run(lambda: stop() or (asked.parent is not None and os.getppid() != asked.parent))
    except PicturaError as error:
        log.error("%s", error)
        return error.exit_code
    database.close()
    return 0


def _warm(models: WarmModels, name: str) -> None:
    try:
        models.painter(name)
    except PicturaError as error:  # jobs that ask for it will say so
        log.warning("%s is not warm: %s", name, error)


if __name__ == "__main__":
    sys.exit(main())
