"""Where people look at figures of a run: TensorBoard and Weights & Biases, from the one stream of metrics.

`galvatron.train(loggers=[...])` tells them each step; `galvatron-metrics` reads the metrics of a run, live or finished.
"""

from __future__ import annotations

from galvatron.metrics.loggers import Logger, RunStart, TensorBoard, WandB

__all__ = ["Logger", "RunStart", "TensorBoard", "WandB"]
