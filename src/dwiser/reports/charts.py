"""The charts of a report, each an SVG with its text alternative."""

import io
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dwiser.evaluation.distribution import WIDEST, Distribution

SIZE = (3.6, 2.7)  # inches: two stand side by side on a desk, one fills a phone
INK, PALE, MARK = "#20262e", "#aab4c0", "#0b62a8"
STYLE = {
    "svg.hashsalt": "dwiser",  # the same chart, the same bytes
    "font.size": 9, "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """A picture as a data URI, what it shows (``caption``) and what it says (``alt``)."""

    source: str
    caption: str
    alt: str


def render_chart(draw: Callable[[Axes], None], caption: str, alt: str) -> Chart:
    """One chart by what it draws on its axes."""
    with rc_context(STYLE):
        figure = Figure(SIZE, layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=False, metadata={"Date": None})
    source = b64encode(text.getvalue().encode()).decode("ascii")
    return Chart(f"data:image/svg+xml;base64,{source}", caption, alt)


def histogram(group: str, distribution: Distribution, rms: float) -> Chart:
    """The standardised residual's density beside the normal law's; ``rms`` is its own."""

    def draw(ax: Axes) -> None:
        ax.stairs(distribution.density, distribution.edges, fill=True, color=PALE, label="residual")
        x = np.linspace(-WIDEST, WIDEST, 241)
        ax.plot(
            x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=MARK, lw=1.2, label="noise alone"
        )
        ax.set(xlim=(-WIDEST, WIDEST), ylim=(0, None), yticks=[])
        ax.set(xlabel="residual, in units of the noise", ylabel="share of voxels")
        ax.legend(frameon=False, fontsize=8)

    alt = (
        f"Histogram of the standardised residual of {group}: rms {rms:.2f}, "
        f"{distribution.beyond:.2%} beyond 3; noise alone has rms 1 and 0.27% beyond 3."
    )
    return render_chart(draw, f"{group}: histogram", alt)


def quantiles(group: str, distribution: Distribution) -> Chart:
    """Quantile against quantile: on the line where the residual is normal noise."""
    most = float(max(np.abs(distribution.observed).max(), distribution.normal.max())) * 1.05

    def draw(ax: Axes) -> None:
        ax.plot([-most, most], [-most, most], color=MARK, lw=1, label="noise alone")
        ax.plot(distribution.normal, distribution.observed, ".", color=INK, ms=3, label="residual")
        ax.set(xlim=(-most, most), ylim=(-most, most))
        ax.set(xlabel="quantile of the normal law", ylabel="quantile of the residual")
        ax.legend(frameon=False, fontsize=8)

    low, high = (
        float(np.interp(q, distribution.normal, distribution.observed)) for q in (-3.0, 3.0)
    )
    alt = (
        f"Quantiles of the residual of {group} against the normal law's: at −3 it is {low:.2f}, "
        f"at +3 it is {high:.2f}."
    )
    return render_chart(draw, f"{group}: quantiles (QQ)", alt)


def training_curve(name: str, curve: Mapping[str, float]) -> Chart:
    """The running loss over the iterations."""
    iterations, loss = np.array([int(i) for i in curve]), np.array(list(curve.values()))

    def draw(ax: Axes) -> None:
        ax.plot(iterations, loss, color=MARK, lw=1.2)
        ax.set(xlabel="iterations", ylabel="loss (running mean)")
        if loss.min() > 0:
            ax.set_yscale("log")
            ax.minorticks_off()
            ax.set_yticks(*_ticks(loss))

    last = iterations[-1]
    alt = f"{name}: the loss went from {loss[0]:.3g} to {loss[-1]:.3g} in {last} iterations."
    return render_chart(draw, name, alt)


def _ticks(loss: np.ndarray) -> tuple[np.ndarray, list[str]]:
    at = np.geomspace(loss.min(), loss.max(), 4)
    return at, [f"{v:.2g}" for v in at]


def stopping_steps(steps: Mapping[str, int]) -> Chart:
    """How many slices stopped at each step of the chain."""
    names, slices = list(steps), list(steps.values())

    def draw(ax: Axes) -> None:
        ax.bar(range(len(names)), slices, color=MARK)
        some = range(0, len(names), max(1, len(names) // 8))
        ax.set_xticks(list(some), [names[i] for i in some])
        ax.set(xlabel="step of the chain where the walk ended", ylabel="slices")

    most = names[int(np.argmax(slices))]
    alt = f"{sum(slices)} slices; most of them, {max(slices)}, stopped at step {most}."
    return render_chart(draw, "Where slices stopped", alt)
