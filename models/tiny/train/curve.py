"""Draws the loss curve of a run: `python3 curve.py RUN/log.jsonl`, to `../loss.svg`."""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "loss.svg")
    options = parser.parse_args()
    lines = {}
    for text in options.log.read_text().splitlines():
        line = json.loads(text)
        lines[line["step"]] = line      # a run that was stopped wrote some steps twice: the last time counts
    lines = [lines[step] for step in sorted(lines)]
    checked = [line for line in lines if "validation" in line]
    matplotlib.rcParams.update({"svg.hashsalt": "loss", "font.size": 9})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    left.plot([line["tokens"] / 1e6 for line in lines], [line["loss"] for line in lines], linewidth=0.8, label="training")
    left.plot([line["tokens"] / 1e6 for line in checked], [line["validation"]["loss"] for line in checked],
              marker=".", linewidth=1, label="held back")
    left.set(xlabel="million tokens", ylabel="loss per trained token (nats)", yscale="log")
    right.plot([line["tokens"] / 1e6 for line in checked], [100 * line["validation"]["tokens"] for line in checked],
               marker=".", label="tokens right")
    right.plot([line["tokens"] / 1e6 for line in checked], [100 * line["validation"]["answers"] for line in checked],
               marker=".", label="answers right in every token")
    right.set(xlabel="million tokens", ylabel="%", ylim=(0, 101))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
