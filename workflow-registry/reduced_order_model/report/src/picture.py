"""Draw ``report.png``: what the reduced model gets right and wrong, at its worst held-out point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into files; a compute node has no display

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

Array = NDArray[np.float64]

INK, MUTED, BLUE, RED = "#1f2933", "#7b8794", "#2364aa", "#c8553d"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True)
class Picture:
    """What is drawn: both fields ``(n, n)`` [K] of the worst point at the last saved time."""

    true: Array
    reduced: Array
    side: float  # m
    caption: str
    singular_values: Array
    rank: int
    errors: Array  # relative, one per held-out point
    bound: float


def draw(picture: Picture, path: Path) -> None:
    """Write the picture as PNG (1800 x 1110 pixels)."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(12, 7.4), dpi=150, layout="constrained")
        figure.suptitle(picture.caption, fontsize=12.5, x=0.012, ha="left")
        halves: Any = figure.subfigures(2, 1, height_ratios=[1.25, 1])
        above, below = halves
        _fields(above, list(above.subplots(1, 3)), picture)
        left, right = below.subplots(1, 2)
        _decay(left, picture)
        _errors(right, picture)
        figure.savefig(path, format="png")
        plt.close(figure)


def _fields(figure: Any, axes: list[Any], picture: Picture) -> None:
    """True and reduced field on one colour scale, and their difference on its own."""
    difference = picture.reduced - picture.true
    top, most = float(picture.true.max()), float(np.abs(difference).max())
    panels = [
        ("Full model", picture.true, "inferno", 0.0, top, "K above the edges"),
        ("Reduced model", picture.reduced, "inferno", 0.0, top, "K above the edges"),
        ("Reduced minus full", difference, "RdBu_r", -most, most, "K"),
    ]
    extent = (0.0, 100 * picture.side, 0.0, 100 * picture.side)  # cm
    for axis, (title, field, colours, low, high, unit) in zip(axes, panels, strict=True):
        image = axis.imshow(
            field, origin="lower", extent=extent, cmap=colours, vmin=low, vmax=high,
            interpolation="bilinear",
        )  # fmt: skip
        axis.set(title=title, xlabel="x [cm]")
        # an inset of the panel itself: as high as it, whatever its labels are
        beside = axis.inset_axes((1.03, 0.0, 0.04, 1.0))
        figure.colorbar(image, cax=beside, label=unit).outline.set_visible(False)
    levels = np.linspace(0.0, top, 7)[1:-1]
    for axis, field in zip(axes[:2], (picture.true, picture.reduced), strict=True):
        axis.contour(field, levels, extent=extent, colors="white", linewidths=0.6, alpha=0.6)
    axes[0].set_ylabel("y [cm]")


def _decay(axis: Any, picture: Picture) -> None:
    """Singular values relative to the first; the modes that are kept are filled."""
    relative = picture.singular_values / picture.singular_values[0]
    number = np.arange(1, len(relative) + 1)
    kept = number <= picture.rank
    axis.semilogy(number, relative, color=MUTED, lw=1, zorder=1)
    axis.scatter(number[kept], relative[kept], color=BLUE, s=26, zorder=2, label="kept")
    axis.scatter(
        number[~kept], relative[~kept], s=26, zorder=2, fc="white", ec=MUTED, label="left out"
    )
    axis.set(title="Singular-value decay", xlabel="mode", ylabel="relative to the first")
    axis.legend(frameon=False)
    _plain(axis)


def _errors(axis: Any, picture: Picture) -> None:
    """One bar per held-out point, against the bound."""
    number = np.arange(1, len(picture.errors) + 1)
    colours = [BLUE if error <= picture.bound else RED for error in picture.errors]
    axis.bar(number, 100 * picture.errors, color=colours, width=0.6)
    for x, error in zip(number, 100 * picture.errors, strict=True):
        axis.annotate(f"{error:.2g}", (x, error), (0, 3), textcoords="offset points", ha="center")
    axis.axhline(100 * picture.bound, color=RED, lw=1.2, ls=(0, (5, 3)))
    axis.annotate(
        f"bound {100 * picture.bound:g} %", (1, 100 * picture.bound), (-4, 4),
        xycoords=axis.get_yaxis_transform(), textcoords="offset points", ha="right", color=RED,
    )  # fmt: skip
    axis.set(
        title="Error at parameters it has not seen",
        xlabel="held-out run",
        ylabel="relative error [%]",
    )
    axis.set_xticks(number)
    axis.set_ylim(0, 1.18 * 100 * max(picture.bound, float(picture.errors.max())))
    _plain(axis)


def _plain(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#e4e7eb", lw=0.7)
    axis.set_axisbelow(True)
