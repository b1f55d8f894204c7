"""Table 2: five levels of multi-coil k-space noise, and how stable three trainings are.

``python -m reproduce.table2 here [--data FOLDER_OR_FILE_OF_M4RAW]``. Many draws of one noiseless
image: no volume differs from another but by its noise. Each level is calibrated to the poster's
Noisy PSNR in the poster's own metric. Methods are told that the whole image is object, since the
metric takes whole slices. The mean of all draws stands beside them: what repeats alone give.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from dwiser.errors import Code, InputError
from dwiser.scan import Scan
from dwiser.simulation import phantom, scheme
from reproduce.arms import DIFUSION, POSTER, PREDICTED, SPLITQ, denoised
from reproduce.claims import AgainstNoisy, Claim, Told, at_budget, judged, row_name, spread, table
from reproduce.kspace_noise import Subject, by_slice, calibrated, poster_metric
from reproduce.poster import poster
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main, on_gpu

NOISY, MEAN, COILS = "Noisy", "mean of the draws", 4  # M4Raw has four coils
METHODS = {name: POSTER[name] for name in ("P2S", "Nr2N", "DDM2", DIFUSION)} | {
    PREDICTED: "difusion:pairing=predicted", SPLITQ: "splitq",
}  # fmt: skip
LEARNED = "Nr2N", "DDM2", DIFUSION, PREDICTED
KINDS = "psnr", "ssim", "psnr_fixed", "ssim_fixed"
SSIM_AGREES = 2.0  # percent: how near the Noisy row's SSIM must be to the poster's at every level
B = 1000.0  # any shell: the table only says that the draws are one group
SMOKE = Setting((16, 18, 3), preset="smoke", iterations=2, seeds=2,
                more={"draws": 12, "subjects": 1})  # fmt: skip
HERE = Setting((24, 30, 3), iterations=400, more={"draws": 32, "subjects": 1})
SETTINGS = {
    "smoke": SMOKE,
    "here": HERE,
    "gpu": on_gpu(HERE),
    "full": replace(FULL, shape=(128, 128, 18), more={"draws": 64, "subjects": 4}),
}


def measure(run: Run) -> Record:
    people, name = subjects(run)
    count, rows, levels = run.setting["draws"], [], []
    for level, wanted in enumerate(poster()["table2"]["psnr"][NOISY]):
        sigma = calibrated(people, wanted, count, run.seed)
        levels.append({"level": level + 1, "wanted_psnr": wanted, "sigma": sigma})
        for place, subject in enumerate(people):
            draws = subject.draws(sigma, count, run.seed + place)
            rows += compared(run, draws, subject.truth, {"level": level + 1, "subject": place})
        run.say(f"level {level + 1}: σ = {sigma:.4f}")
    return {"image": name, "levels": levels, "rows": rows}


def subjects(run: Run) -> tuple[list[Subject], str]:
    """The noiseless images: M4Raw's, or the b0s of phantoms of different geometry."""
    if run.data is not None:
        files = sorted(run.data.rglob("*.h5")) if run.data.is_dir() else [run.data]
        if not files:
            raise InputError(
                f"{run.data}: there is no .h5 file in it: give M4Raw's folder.",
                code=Code.FILE_MISSING,
            )
        return [Subject.from_m4raw(f) for f in files[: run.setting["subjects"]]], "M4Raw"
    phantoms = []
    for seed in range(run.seed, run.seed + run.setting["subjects"]):
        made = phantom(run.setting.shape, noise="none", n_b0=1, shells=((B, 6),), seed=seed)
        phantoms.append(Subject.of(made.truth[..., 0], COILS, seed))
    return phantoms, f"b0 of {len(phantoms)} phantom(s) (M4Raw was not given)"


def compared(
    run: Run, draws: np.ndarray, truth: np.ndarray, where: dict[str, Any]
) -> list[dict[str, Any]]:
    """Both metrics of the noisy draws, their mean, and every method; learned ones seed by seed."""
    table = scheme(((B, draws.shape[3]),), n_b0=0, seed=run.seed)
    scan = Scan(draws, np.eye(4), table, mask=np.ones(truth.shape, bool))
    average = np.repeat(draws.mean(3, keepdims=True), draws.shape[3], axis=3)
    rows = [scored(draws, truth, where, NOISY, 0), scored(average, truth, where, MEAN, 0)]
    for method, words in METHODS.items():
        for seed in range(run.setting.seeds if method in LEARNED else 1):
            result = denoised(words, scan, run, run.seed + seed)
            rows.append(scored(result.data, truth, where, method, seed))
    return rows


def scored(
    images: np.ndarray, truth: np.ndarray, where: dict[str, Any], method: str, training: int
) -> dict[str, Any]:
    values = *poster_metric(images, truth), *by_slice(images, truth)
    return where | {"method": method, "training": training} | dict(zip(KINDS, values, strict=True))


def values(record: Record, level: int, method: str, kind: str) -> list[float]:
    """A cell's values over the trainings, each the mean over the subjects; SSIM in percent."""
    scale = 100.0 if kind.startswith("ssim") else 1.0
    by_training: dict[int, list[float]] = {}
    for row in record["rows"]:
        if row["level"] == level and row["method"] == method:
            by_training.setdefault(row["training"], []).append(scale * row[kind])
    return [float(np.mean(v)) for v in by_training.values()]


def tell(record: Record) -> Told:
    printed, levels = poster()["table2"], [x["level"] for x in record["levels"]]
    lines = []
    for kind, head in zip(KINDS, HEADS, strict=True):
        rows = []
        for method in (NOISY, *METHODS, MEAN):
            cells = [_cell(record, level, method, kind, printed) for level in levels]
            rows.append([row_name(method, record["size"]), *cells])
        lines += [f"**{head}**", "", *table(["", *(f"Sim {n}" for n in levels)], rows)]
    reached = max(
        abs(values(record, x["level"], NOISY, "psnr")[0] - x["wanted_psnr"])
        for x in record["levels"]
    )
    lines += [
        f"In brackets: the poster's, with its ±. Image: {record['image']}; {COILS} coils, "
        f"{record['size']['draws']} draws. ± is the sample's sd over {record['size']['seeds']} "
        f"trainings. The calibration misses the poster's Noisy PSNR by at most {reached:.3f} dB. "
        f"The Noisy SSIM is missed by up to {ssim_missed(record):.1f} percent: the image is "
        f"another one, and claims of SSIM wait until it is {SSIM_AGREES:g} at most.",
        "",
    ]
    return Told(_claims(record, levels, printed), lines)


def ssim_missed(record: Record) -> float:
    """How far the Noisy row's SSIM is from the poster's, in percent, at the worst level."""
    printed = poster()["table2"]["ssim"][NOISY]
    levels = [x["level"] for x in record["levels"]]
    return max(abs(values(record, n, NOISY, "ssim")[0] - printed[n - 1]) for n in levels)


HEADS = (
    "PSNR in dB, whole arrays min–max scaled (the poster's metric)",
    "SSIM in percent, whole arrays min–max scaled (the poster's metric)",
    "PSNR in dB at a fixed scale (the truth's maximum)",
    "SSIM in percent at a fixed scale",
)


def _cell(record: Record, level: int, method: str, kind: str, printed: dict[str, Any]) -> str:
    cell = spread(values(record, level, method, kind))
    if method not in printed.get(kind, {}):
        return cell
    told = f"{printed[kind][method][level - 1]:.2f}"
    sd = printed[f"{kind}_sd"].get(method)
    return f"{cell} ({told} ± {sd[level - 1]:.2f})" if sd else f"{cell} ({told})"


def _claims(record: Record, levels: list[int], printed: dict[str, Any]) -> list[Claim]:
    rivals = NOISY, "P2S", "Nr2N", "DDM2", DIFUSION

    def best(kind: str, among: tuple[str, ...] = rivals) -> list[str]:
        mean = {m: [np.mean(values(record, n, m, kind)) for n in levels] for m in among}
        return [max(among, key=lambda m: mean[m][i]) for i in range(len(levels))]

    def steady(scores: dict[str, list[float]]) -> int:
        return sum(min(scores, key=lambda m: scores[m][i]) == DIFUSION for i in range(len(levels)))

    trained = "Nr2N", "DDM2", DIFUSION
    sd = {k: {m: [float(np.std(values(record, n, m, k), ddof=1)) for n in levels] for m in trained}
          for k in ("ssim", "psnr")}  # fmt: skip
    ours = {k: steady(sd[k]) for k in sd}
    theirs = {k: steady({m: printed[f"{k}_sd"][m] for m in trained}) for k in sd}
    first, everyone = [b == DIFUSION for b in best("ssim")], (NOISY, *METHODS, MEAN)
    loud = [b == DIFUSION for b in best("psnr")[:2]]
    moved = sum(a != b for a, b in zip(best("psnr"), best("psnr_fixed"), strict=True))
    top = best("psnr_fixed", everyone)
    above = best("psnr", (NOISY, DIFUSION)).count(DIFUSION)
    missed = ssim_missed(record)
    alike = missed <= SSIM_AGREES
    wait = "" if alike else (
        f" The Noisy row's SSIM is up to {missed:.1f} percent from the poster's (at most "
        f"{SSIM_AGREES:g} would do): the claim waits for the poster's image."
    )  # fmt: skip
    counted = sum(ours.values()) if alike else ours["psnr"]
    psnr = {m: float(np.mean([values(record, n, m, "psnr") for n in levels[:2]]))
            for m in (DIFUSION, NOISY)}  # fmt: skip
    alone = AgainstNoisy(
        "its result", "PSNR at Sim 1 and 2", psnr[DIFUSION], psnr[NOISY], more_is_better=True
    )
    claims = [
        Claim(
            "Table 2: Di-Fusion has the best SSIM at every level",
            judged(sum(first), len(first)) if alike else "cannot be judged",
            f"Best of the poster's methods at {sum(first)} of {len(levels)} levels.{wait}",
        ),
        Claim(
            "Table 2: Di-Fusion is better under high noise (PSNR, Sim 1 and 2)",
            judged(sum(loud), len(loud)),
            f"Best of the poster's methods at {sum(loud)} of {len(loud)}. At a fixed scale in "
            f"place of min–max the best method is another at {moved} of {len(levels)} levels. Of "
            f"all rows, the plain mean of the draws is best at {top.count(MEAN)} levels.",
        ),
        Claim(
            "Table 2, and the title: Di-Fusion is the most stable over trainings",
            judged(counted, (2 if alike else 1) * len(levels)),
            f"Its sd is the least of the three learned methods at {ours['ssim']} (SSIM) and "
            f"{ours['psnr']} (PSNR) of {len(levels)} levels; on the poster at {theirs['ssim']} and "
            f"{theirs['psnr']}. Its PSNR is above the noisy draws' at {above} of {len(levels)} "
            "levels: what changes nothing is stable too."
            + ("" if alike else " Judged by PSNR alone: the SSIM waits for the poster's image."),
        ),
    ]
    return [at_budget(claim, record["size"], alone) for claim in claims]


EXPERIMENT = Experiment("table2", "Table 2: k-space noise, and stability", SETTINGS, measure, tell)

if __name__ == "__main__":
    main(EXPERIMENT)
