"""A cluster that cannot be used is refused with a code, and a sentence that says what to do."""

import socket
from unittest.mock import Mock

import dask
import pytest
from distributed import Client

from dwiser import __version__
from dwiser.cohort import clusters, dask_executor
from dwiser.cohort.clusters import WorkerRequest
from dwiser.errors import Code, DwiserError
from tests.refusals import refused


def test_an_address_where_nothing_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.2)
    with refused(Code.CLUSTER_UNREACHABLE, address, "give local, slurm, or the address"):
        clusters._client(address)


def test_slurm_without_a_setup_is_told_what_to_write() -> None:
    pytest.importorskip("dask_jobqueue")
    with (
        dask.config.set({"jobqueue.slurm.cores": None, "jobqueue.slurm.memory": None}),
        refused(Code.CLUSTER_SETUP, "write 'cores' and 'memory'", "jobqueue.yaml"),
    ):
        clusters._slurm(WorkerRequest(cluster="slurm"))


def no_module(_: object) -> dict[str, str]:
    raise ModuleNotFoundError("No module named 'dwiser'")


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (no_module, ("The workers cannot import dwiser",)),
        (lambda _: {"tcp://a:1": __version__, "tcp://b:2": "0.0.1"}, ("tcp://b:2", "0.0.1")),
    ],
    ids=["none", "another"],
)
def test_workers_of_another_version_are_named(run, said: tuple[str, ...]) -> None:
    with refused(Code.CLUSTER_VERSION, *said, "in the environment of this command"):
        clusters._same_version(Mock(spec=Client, run=run))
    clusters._same_version(Mock(spec=Client, run=lambda _: {"tcp://a:1": __version__}))


def test_a_scheduler_that_does_not_return_ends_the_cohort() -> None:
    executor = dask_executor.DaskExecutor.__new__(dask_executor.DaskExecutor)
    executor.last_contact = -2 * dask_executor.PATIENCE
    said = "finished scans stay; start a scheduler and run the same command again"
    with refused(Code.CLUSTER_LOST, said, error=DwiserError):
        executor.maintain()
