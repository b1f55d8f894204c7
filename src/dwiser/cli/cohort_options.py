"""The options that ``dwiser bids`` and ``dwiser cohort`` share, and the run itself."""

import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dwiser.cli.options import (
    B0Threshold,
    BValueScalingOption,
    Device,
    Force,
    Method,
    Preset,
    Quiet,
    Settings,
    Verbose,
)
from dwiser.defaults import B0_THRESHOLD, DEFAULT_METHOD
from dwiser.errors import DwiserWarning
from dwiser.seeds import check_seed

if TYPE_CHECKING:
    from dwiser.cohort.engine import Executor
    from dwiser.cohort.job import CohortOptions
    from dwiser.cohort.plan import CohortPlan

BidsDir = Annotated[Path, Parameter(help="The dataset, a folder with sub-* in it.")]
OutDir = Annotated[Path, Parameter(help="The folder for the denoised dataset.")]
Level = Annotated[Literal["participant"], Parameter(help="What to analyse: participant.")]
MaxFailures = Annotated[
    int | None, Parameter(help="Start no new scan after this many failures (default: continue).")
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The options of both commands."""

    participant_label: Annotated[
        list[str] | None,
        Parameter(
            name=["--participant-label", "--participant_label"],
            help="Only these participants, with or without 'sub-'; several after one another.",
            consume_multiple=True,
            negative_iterable=(),
        ),
    ] = None
    session_label: Annotated[
        list[str] | None,
        Parameter(
            name=["--session-label", "--session_label"],
            help="Only these sessions, with or without 'ses-'.",
            consume_multiple=True,
            negative_iterable=(),
        ),
    ] = None
    work_dir: Annotated[
        Path | None,
        Parameter(
            name=["--work-dir", "-w"],
            help="For unfinished files, say on a fast local disk (default: inside OUT).",
        ),
    ] = None
    skip_bids_validation: Annotated[
        bool,
        Parameter(
            name=["--skip-bids-validation", "--skip_bids_validation"],
            help="Do not check the dataset.",
            negative=(),
        ),
    ] = False
    dry_run: Annotated[bool, Parameter(help="Print the plan and do nothing.", negative=())] = False
    max_failures: MaxFailures = None
    method: Method = DEFAULT_METHOD
    preset: Preset = "laptop"
    settings: Settings = None
    masks: Annotated[
        Path | None,
        Parameter(help="A BIDS derivative whose sub-*/…_desc-brain_mask.nii.gz are the masks."),
    ] = None
    noise_maps: Annotated[
        Path | None,
        Parameter(
            help="A BIDS derivative whose sub-*/…_desc-sigma_dwimap.nii.gz are the noise's sd."
        ),
    ] = None
    phase: Annotated[
        bool,
        Parameter(help="Take the part-phase beside each series: complex denoising.", negative=()),
    ] = False
    report: Annotated[
        bool,
        Parameter(help="Also an interactive report of each scan, one HTML file.", negative=()),
    ] = False
    save_residual: Annotated[
        bool, Parameter(help="Also write what was removed, input − output.", negative=())
    ] = False
    save_standardised: Annotated[
        bool,
        Parameter(help="Also write the residual in units of its noise.", negative=()),
    ] = False
    save_uncertainty: Annotated[
        bool, Parameter(help="Also write the sd of the result's error.", negative=())
    ] = False
    save_rank: Annotated[
        bool,
        Parameter(help="Also write how many degrees of freedom each voxel keeps.", negative=()),
    ] = False
    save_variance: Annotated[
        bool,
        Parameter(
            help="Also write the share of the variance within the shells that was removed.",
            negative=(),
        ),
    ] = False
    as_raw: Annotated[
        Path | None,
        Parameter(
            help="Also a dataset with the denoised series under their raw names, for programs "
            "that take raw data alone, such as QSIPrep."
        ),
    ] = None
    b0_threshold: B0Threshold = B0_THRESHOLD
    bvalue_scaling: BValueScalingOption = "auto"
    device: Device = "auto"
    threads: Annotated[
        int | None,
        Parameter(
            name=["--threads", "--n-procs", "--n_procs"],
            help="CPU threads of a scan (default: all that its process may use).",
        ),
    ] = None
    seed: Annotated[
        int,
        Parameter(
            name=["--seed", "--random-seed", "--random_seed"],
            help="Of everything random; the same seed, the same result.",
        ),
    ] = 0
    force: Force = False
    verbose: Verbose = False
    quiet: Quiet = False

    def scan_options(self) -> "CohortOptions":
        from dwiser.cohort.job import CohortOptions
        from dwiser.errors import Code, InputError
        from dwiser.methods.registry import settings_of

        check_seed(self.seed)
        for option, folder in (("--masks", self.masks), ("--noise-maps", self.noise_maps)):
            if folder is not None and not folder.is_dir():
                raise InputError(
                    f"{folder}: there is no such folder: check {option}.", code=Code.FILE_MISSING
                )
        return CohortOptions(
            method=self.method,
            preset=self.preset,
            settings=settings_of(self.settings or []),
            seed=self.seed,
            b0_threshold=self.b0_threshold,
            bvalue_scaling=self.bvalue_scaling,
            save_residual=self.save_residual,
            save_standardised=self.save_standardised,
            save_uncertainty=self.save_uncertainty,
            save_rank=self.save_rank,
            save_variance=self.save_variance,
            masks=self.masks and self.masks.absolute(),
            noise_maps=self.noise_maps and self.noise_maps.absolute(),
            phase=self.phase,
            report=self.report,
            device=self.device,
            threads=self.threads,
            force=self.force,
        )


DEFAULTS = Cohort()

OpenExecutor = Callable[["CohortPlan"], AbstractContextManager["Executor"]]


def run_cohort(
    bids_dir: Path,
    out: Path,
    options: Cohort,
    open_executor: OpenExecutor,
    *,
    memory: str | None = None,
    workers_line: "Callable[[CohortPlan], str] | None" = None,
) -> int:
    """Plan, print the plan, do it, write the summary. Returns the exit code.

    ``memory`` is what a scan may take; without it, what its process may take. ``workers_line``
    says which workers a plan gets, and refuses those that cannot be had.
    """
    from dwiser.cli.cohort_progress import live_status, print_plan, print_result
    from dwiser.cohort import pages, summary
    from dwiser.cohort.engine import carry_out
    from dwiser.cohort.plan import plan_cohort
    from dwiser.cohort.preflight import unreadable_sidecars
    from dwiser.cohort.raw_names import check_raw_names, write_raw_names
    from dwiser.cohort.validate import check_dataset

    root, out = bids_dir.absolute(), out.absolute()
    as_raw = options.as_raw and options.as_raw.absolute()
    scan_options = replace(options.scan_options(), memory=memory)
    if as_raw is not None:
        check_raw_names(root, out, as_raw)
    cohort_plan = plan_cohort(
        root, out, scan_options,
        subjects=options.participant_label or (), sessions=options.session_label or (),
        work=options.work_dir and options.work_dir.absolute(),
    )  # fmt: skip
    remark = None if options.skip_bids_validation else check_dataset(root)
    workers = workers_line(cohort_plan) if workers_line and cohort_plan.to_do else None
    if not options.quiet or options.dry_run:
        print_plan(cohort_plan, options.verbose or options.dry_run, remark, workers)
    for sentence in unreadable_sidecars(step.job for step in cohort_plan.to_do):
        warnings.warn(sentence, DwiserWarning, stacklevel=2)
    if options.dry_run:
        return 0
    pages.begin_dataset(root, out)
    jobs = [step.job for step in cohort_plan.steps]
    outcomes, interrupted = cohort_plan.outcomes(), False
    if cohort_plan.to_do:
        with live_status(options.quiet) as on_status, open_executor(cohort_plan) as executor:
            status = carry_out(
                [step.job for step in cohort_plan.to_do], executor, on_status,
                max_failures=options.max_failures,
            )  # fmt: skip
        outcomes, interrupted = outcomes | status.outcomes, status.interrupted
    rows = summary.rows(jobs, outcomes)
    pages.write_summary(out, rows, f"dwiser: {root.name}")
    failed = [row for row in rows if row.status == "failed"]
    print_result(rows, out, options.quiet, interrupted)
    if interrupted:
        return 130
    not_done = [row for row in rows if row.status not in ("done", "skipped")]
    if as_raw is not None and not_done:
        print(f"dwiser: {as_raw} is not written: not all scans are done.", file=sys.stderr)
    elif as_raw is not None:
        asked = {job.name for job in jobs}  # the table has a row for every scan of the folder
        write_raw_names(root, out, as_raw, [row for row in rows if row.job.name in asked])
    if failed:
        names = ", ".join(row.job.name for row in failed)
        print(f"dwiser: {len(failed)} scans failed: {names}.", file=sys.stderr)
    return int(bool(not_done))
