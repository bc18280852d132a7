"""Curves of loss and accuracy, and rows of images, drawn without a display."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from purebp.packages import load
from purebp.training.loop import Epoch


class Curve(NamedTuple):
    """One run: what its legend says, and its epochs."""

    label: str
    history: tuple[Epoch, ...]


class Row(NamedTuple):
    """Images side by side, and what stands in front of them."""

    label: str
    images: Any


def load_figures() -> Any:
    """The figures of matplotlib, which need no display."""
    return load("matplotlib.figure", needed_by="--plot", extra="examples")


def plot_curves(file: Path, title: str, curves: Sequence[Curve]) -> None:
    """Write a picture: the loss on the left, training and test accuracy on the right."""
    figure = load_figures().Figure(figsize=(10, 4), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    for index, (label, history) in enumerate(curves):
        epochs = [epoch.epoch for epoch in history]
        color = f"C{index}"
        marker = "o" if len(epochs) == 1 else None
        losses.plot(epochs, [e.loss for e in history], color=color, marker=marker, label=label)
        train = [100 * e.train_accuracy for e in history]
        test = [100 * e.test_accuracy for e in history]
        accuracies.plot(epochs, test, color=color, marker=marker, label=f"{label}, test")
        accuracies.plot(epochs, train, color=color, marker=marker, ls="--", label=f"{label}, train")
    losses.set(xlabel="epoch", ylabel="loss", yscale="log", title="loss")
    accuracies.set(xlabel="epoch", ylabel="accuracy (%)", title="accuracy")
    for axes in (losses, accuracies):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(file, dpi=120)


def plot_images(file: Path, title: str, rows: Sequence[Row]) -> None:
    """Write a picture: images from 0 (white) to 1 (black), row under row."""
    columns = len(rows[0].images)
    figure = load_figures().Figure(figsize=(columns, len(rows) + 0.6), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_of_row, (label, images) in zip(grid, rows, strict=True):
        for axes, image in zip(axes_of_row, images, strict=True):
            axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        axes_of_row[0].set_ylabel(label)
    figure.suptitle(title)
    figure.savefig(file, dpi=120)
