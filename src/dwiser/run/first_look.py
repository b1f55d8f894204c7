"""The first look at a series: what each volume is, and what was done to the scan before."""

import warnings
from concurrent.futures import Future, ThreadPoolExecutor

from dwiser.errors import DwiserWarning
from dwiser.methods.base import Denoiser
from dwiser.prepare.earlier_steps import earlier_steps, earlier_steps_in, middle_object
from dwiser.prepare.measured_scan import measured_scan
from dwiser.prepare.volume_roles import VolumeRoles
from dwiser.run.capabilities import check_volumes
from dwiser.run.volumes import roles_told
from dwiser.scan import Scan


def first_look(scan: Scan, method: Denoiser, *, threads: int = 1) -> tuple[VolumeRoles, Scan]:
    """The volumes' roles and the scan of the measurements; warns of all that is not as usual.

    On more than one ``threads`` both are looked for at once, as if all volumes were measurements;
    where they are not, what was done before is read from the measurements alone.

    Raises
    ------
    InputError
        For a scan with too few volumes for the method.
    """
    with ThreadPoolExecutor(1) as beside:  # the roles hold warnings back: they stay in this thread
        steps: Future[tuple[str, ...]] | None = None
        if threads > 1:
            steps = beside.submit(earlier_steps_in, scan, middle_object(scan))
        roles = roles_told(scan, threads=threads)
    measured = measured_scan(scan, roles)
    check_volumes(measured, method)
    known = None if steps is None or measured is not scan else steps.result()
    for sentence in earlier_steps(measured) if known is None else known:
        warnings.warn(sentence, DwiserWarning, stacklevel=3)
    return roles, measured
