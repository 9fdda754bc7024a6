"""What Prometheus asks for: requests by address and answer, the queue, pictures. No names, no prompts."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from pictura.store.database import Database
from pictura.store.tables import LANES, Image, Job


class Metrics:
    """Numbers of one process, and of the database that it shares."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pictura_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "pictura_request_seconds",
            "Time until the answer was sent.",
            ("method", "route"),
            registry=self.registry,
        )
        self.refused = Counter(
            "pictura_refused", "Requests that were refused at the gate.", ("code",), registry=self.registry
        )
        self.registry.register(_OfDatabase(database))

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


class _OfDatabase(Collector):
    """What the database knows, counted when it is asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[GaugeMetricFamily]:
        """Names alone, so that registering counts nothing."""
        return [self._jobs(), self._waiting(), self._images()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count."""
        jobs, waiting, images = self.describe()
        with self._database.read() as session:
            for state, count in session.execute(select(Job.state, func.count()).group_by(Job.state)).all():
                jobs.add_metric([state], count)
            query = select(Job.lane, func.count()).where(Job.state == "queued").group_by(Job.lane)
            lanes = dict(session.execute(query).all())
            for lane in LANES:
                waiting.add_metric([lane], lanes.get(lane, 0))
            images.add_metric([], session.scalars(select(func.count()).select_from(Image)).one())
        yield from (jobs, waiting, images)

    def _jobs(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("pictura_jobs", "Jobs by state.", labels=["state"])

    def _waiting(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("pictura_jobs_waiting", "Jobs that wait, by lane.", labels=["lane"])

    def _images(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("pictura_images", "Pictures in the database.", labels=[])
