"""PASS, WARN or FAIL for a residual, with the reasons in words.

The limits were set on phantoms at b0 SNR 10 to 30 (several b0s, 64 directions, σ varying in
space). There the truth, its Rician mean and MP-PCA pass, a linear leave-one-out prediction and
a PCA of rank 8 get a WARN, and a blur of one voxel FWHM or more, the mean DWI, an erased and an
invented lesion FAIL.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from dwiser.evaluation.anatomy import AnatomyCorrelation
from dwiser.evaluation.angle_cells import COS_EDGES, FA_EDGES, AngleCells
from dwiser.evaluation.local import ResidualSpot
from dwiser.evaluation.residual import UNCHANGED, Energy, Moments, Whiteness

# (WARN, FAIL) each
SHIFT = (0.1, 0.3)  # σ; a mean of 0.1 σ moves MD by about 1 % at SNR 10
SHIFT_DOUBT = 0.5  # of a voxel's doubt of the noise floor: σ, on average over voxels, is 5 % wrong
EXCESS = (0.05, 0.2)  # share of voxels; noise gives 0.01, a σ map 10 % too low about 0.14
CORRELATION = (0.15, 0.3)  # of the mean residual with anatomy; counts only with STRUCTURE
STRUCTURE = (0.1, 0.25)  # σ; what repeats in every volume, 0.125 is the noise of 64 averaged
DIRECTION = (0.3, 0.4)  # correlation of residual energy with FA; counts only with LOST
LOST = (0.05, 0.1)  # share of voxels over σ² from which DIRECTION counts
SPOT = (0.5, 1.0)  # σ, mean over a spot four voxels wide, surely; good denoisers reach 0.2 to 0.9
LONE_SPOT = (1.0, 2.5)  # the same in one volume only, where real scans have artefacts of 2 σ
ANGLE = (0.08, 0.2)  # σ, mean of a cell of FA and angle, surely; good denoisers stay below 0.05
HIGH_FA_ANGLE = (0.12, 0.3)  # the same above FA 0.8, where the signal is most curved
HIGH_FA = 0.8
NEIGHBOURS = 0.1  # beyond the raw noise's own; WARN only
SELECTION = 3.0  # standard errors of it
NOTED = 0.01  # excluded share of the mask from which a note says so
LITTLE = 0.3  # sd of r/σ below which little noise was removed; a note, no reason

LEVELS = ("PASS", "WARN", "FAIL")


@dataclass(frozen=True)
class Reason:
    """One finding: which test (``code``), how bad, and in words."""

    code: str
    level: str
    words: str


@dataclass(frozen=True)
class Verdict:
    """The worst level of its reasons; ``notes`` are useful to know and no fault."""

    level: str
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """Results of the residual's tests, by group of volumes where they are by group.

    ``noise`` is the raw noise's own correlation between neighbours, ``levels`` the mean signal
    of the raw scan and of the denoised one, ``suppressed`` the share of the mask that was
    excluded because the scanner suppressed the background there, ``shift_doubt`` how far the
    standardised mean may be off because of the noise floor.
    """

    raw_moments: Mapping[str, Moments]
    standard_mean: Mapping[str, float]
    energies: Mapping[str, Energy]
    whiteness: Whiteness
    anatomy: AnatomyCorrelation | None
    spots: tuple[ResidualSpot, ...]
    angle: tuple[AngleCells, ...] = ()
    angle_absent: str = ""
    noise: Whiteness | None = None
    levels: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    suppressed: float = 0.0
    shift_doubt: Mapping[str, float] = field(default_factory=dict)


def judge(findings: Findings) -> Verdict:
    """The verdict over all findings; for a scan returned unchanged that is the only reason."""
    unchanged = [
        g for g, m in findings.raw_moments.items() if m.sd < UNCHANGED and abs(m.mean) < UNCHANGED
    ]
    if len(unchanged) == len(findings.raw_moments):
        words = "unchanged: the denoised scan equals the raw one, nothing was removed"
        return Verdict("WARN", (Reason("unchanged", "WARN", words),))
    tests = (_shift, _anatomy, _angle, _energy, _direction, _spot, _white)
    reasons = tuple(reason for test in tests for reason in test(findings))
    level = max((r.level for r in reasons), key=LEVELS.index, default="PASS")
    notes = [f"the volumes of {g} are unchanged" for g in unchanged]
    notes += [
        f"little was removed from {g}: the residual's sd is {m.sd:.2f} σ"
        for g, m in findings.raw_moments.items()
        if g not in unchanged and m.sd < LITTLE
    ]
    notes += _averaged(findings)
    if findings.suppressed >= NOTED:
        notes.append(
            f"{findings.suppressed:.0%} of the mask is darker than noise can be, because the "
            "scanner suppressed the background: these voxels were excluded"
        )
    return Verdict(level, reasons, tuple(notes))


def _level(value: float, limits: tuple[float, float]) -> str:
    return LEVELS[sum(value >= limit for limit in limits)]


def _both(a: str, b: str) -> str:
    return min(a, b, key=LEVELS.index)


def _shift(findings: Findings) -> Iterator[Reason]:
    for group, mean in findings.standard_mean.items():
        level = _level(abs(mean) - findings.shift_doubt.get(group, 0.0), SHIFT)
        if level != "PASS":
            raw, denoised = findings.levels[group]
            words = (
                f"intensities of {group} shifted: their mean is {raw:.4g} in the raw scan and "
                f"{denoised:.4g} in the denoised one, {_off(mean)} on average"
            )
            yield Reason("shift", level, words)


def _off(effect: float) -> str:
    """How far the denoised signal is from what the raw one, with its Rician bias, allows."""
    return f"{abs(effect):.2g} σ {'lower' if effect > 0 else 'higher'} than noise explains"


def _anatomy(findings: Findings) -> Iterator[Reason]:
    a = findings.anatomy
    if a is None:
        return
    named = {
        "the signal": (a.mean_signal, a.size_signal),
        "the signal's gradient": (a.mean_gradient, a.size_gradient),
        "FA": (a.mean_fa, a.size_fa),
    }
    strength = {
        name: max((abs(v) for v in pair if v is not None), default=0.0)
        for name, pair in named.items()
    }
    worst = max(strength, key=lambda name: strength[name])
    structure = a.structure or 0.0
    level = _both(_level(strength[worst], CORRELATION), _level(structure, STRUCTURE))
    if level != "PASS":
        words = (
            f"anatomy in the residual: its mean over volumes follows {worst} (correlation "
            f"{strength[worst]:.2f}) with {structure:.2f} σ RMS that noise does not explain; "
            "edges were blurred or contrast was lost"
        )
        yield Reason("anatomy", level, words)


def _energy(findings: Findings) -> Iterator[Reason]:
    for group, e in findings.energies.items():
        level = _level(e.excess, EXCESS)
        if level != "PASS":
            words = (
                f"more than noise was removed from {group}: in {e.excess:.0%} of the voxels the "
                f"residual exceeds what σ² explains (noise alone: 1 %), or σ is too low"
            )
            yield Reason("variance", level, words)


def _direction(findings: Findings) -> Iterator[Reason]:
    a = findings.anatomy
    shells = [e.excess for group, e in findings.energies.items() if group != "b0"]
    if a is None or a.energy_fa is None or not shells:
        return
    level = _both(_level(a.energy_fa, DIRECTION), _level(max(shells), LOST))
    if level != "PASS":
        words = (
            f"directional signal was removed: the residual is largest where FA is high "
            f"(correlation {a.energy_fa:.2f})"
        )
        yield Reason("direction", level, words)


def _angle(findings: Findings) -> Iterator[Reason]:
    """The worst row of FA of all shells: one reason is enough."""
    worst: tuple[float, AngleCells, int] | None = None
    for cells in findings.angle:
        for row, sure in enumerate(cells.sure.max(1)):
            size = sure / _angle_limits(row)[0]
            if worst is None or size > worst[0]:
                worst = size, cells, row
    if worst is None or worst[0] < 1:
        return
    _, cells, row = worst
    levels = [
        _level(sure, _angle_limits(r))
        for c in findings.angle
        for r, sure in enumerate(c.sure.max(1))
    ]
    mean, between = cells.mean[row], 1 + int(np.abs(cells.mean[row, 1:-1]).argmax())
    low, high = COS_EDGES[between], COS_EDGES[between + 1]
    words = (
        f"the signal's shape about its fibre was removed: in {cells.voxels[row]} voxels of FA "
        f"{FA_EDGES[row]:.2f}–{FA_EDGES[row + 1]:.2f} raw less denoised is on average "
        f"{mean[0]:+.2f} σ across the fibre, {mean[between]:+.2f} σ at |cos| {low:.1f}–{high:.1f} "
        f"and {mean[-1]:+.2f} σ along it (b = {cells.bval:.0f} s/mm²; noise alone: 0)"
    )
    yield Reason("angle", max(levels, key=LEVELS.index), words.replace(" -", " −"))


def _angle_limits(row: int) -> tuple[float, float]:
    return HIGH_FA_ANGLE if FA_EDGES[row] >= HIGH_FA else ANGLE


def _spot(findings: Findings) -> Iterator[Reason]:
    """The worst spot of each shell; its windows overlap, so one reason is enough."""
    worst: dict[str, tuple[str, ResidualSpot]] = {}
    for s in findings.spots:
        limits = SPOT if len(s.volumes) > 1 else LONE_SPOT
        level = _level(s.sure, limits) if s.score > s.limit else "PASS"
        shell = s.group.split()[0]
        known = worst.get(shell, ("PASS", s))
        if (LEVELS.index(level), s.sure) > (LEVELS.index(known[0]), known[1].sure):
            worst[shell] = level, s
    for level, s in worst.values():
        if level == "PASS":
            continue
        lone = ", or an artefact of this one volume was removed" if len(s.volumes) == 1 else ""
        where = f"volume {s.volumes[0]}" if lone else f"{len(s.volumes)} volumes of {s.group}"
        words = (
            f"something was erased or invented at voxel {s.place} in {where}: the mean there is "
            f"{s.raw:.4g} in the raw scan and {s.denoised:.4g} in the denoised one, "
            f"{_off(s.effect)} (score {s.score:.1f}, noise stays below {s.limit:.1f}){lone}"
        )
        yield Reason("local", level, words)


def _white(findings: Findings) -> Iterator[Reason]:
    w, lags = findings.whiteness, _neighbours(findings)
    axis = max(lags, key=lambda axis: lags[axis][0] - max(lags[axis][1], 0.0))
    of_residual, of_noise = lags[axis]
    if of_residual - max(of_noise, 0.0) >= NEIGHBOURS:
        known = (
            f"the raw noise's own is {of_noise:.2f}: the denoiser smoothed in space"
            if findings.noise
            else "the denoiser smoothed in space, or the raw noise is correlated"
        )
        words = f"neighbouring residuals are correlated ({of_residual:.2f} along {axis}); {known}"
        yield Reason("space", "WARN", words)
    if w.volume is not None and w.volume_error is not None and w.volume_fit is not None:
        beyond = _beyond(w.volume, w.volume_fit) - SELECTION * w.volume_error
        if beyond >= NEIGHBOURS:
            words = (
                f"residuals of successive volumes are correlated ({w.volume:.2f}; the spread of "
                f"all other pairs of volumes and a fit across them explain {w.volume_fit:.2f} ± "
                f"{SELECTION * w.volume_error:.2f})"
            )
            yield Reason("volumes", "WARN", words)


def _neighbours(findings: Findings) -> dict[str, tuple[float, float]]:
    """By axis the correlation of neighbouring residuals, and the raw noise's own.

    A denoiser takes correlated noise for signal and does not remove all of it: the residual is
    then whiter than the noise, and nothing was smoothed.
    """
    w, noise = findings.whiteness, findings.noise or Whiteness(None, None, None, None)
    axes = {"x": (w.x, noise.x), "y": (w.y, noise.y), "z": (w.z, noise.z)}
    return {
        axis: (of_residual or 0.0, of_noise or 0.0)
        for axis, (of_residual, of_noise) in axes.items()
    }


def _averaged(findings: Findings) -> Iterator[str]:
    """Negative correlation of neighbours: noise, and no signal, was averaged over them.

    Signal that was smoothed away is similar in neighbouring residuals. Where noise was averaged,
    a residual is a voxel's difference from the average: negatively correlated.
    """
    lags = _neighbours(findings)
    axis = min(lags, key=lambda axis: lags[axis][0] - min(lags[axis][1], 0.0))
    of_residual, of_noise = lags[axis]
    if min(of_noise, 0.0) - of_residual >= NEIGHBOURS:
        along = f"{of_residual:.2f} between residuals along {axis}"
        yield f"noise was averaged over neighbours ({along})"


def _beyond(correlation: float, expected: float) -> float:
    """How far a correlation lies outside the range between 0 and the expected one."""
    return max(correlation - max(expected, 0.0), min(expected, 0.0) - correlation)
