"""Loggers as training tells them: one that fails is left out, and said."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from galvatron.errors import ConfigError
from galvatron.metrics.loggers import Logger, RunStart


class Told:
    def __init__(self, loggers: Sequence[Logger]) -> None:
        """ConfigError for what is no logger."""
        self._loggers: list[Logger] = []
        for logger in [loggers] if isinstance(loggers, str) else loggers:
            if isinstance(logger, type) or not isinstance(logger, Logger):
                raise ConfigError(
                    f"[train] loggers needs objects with start(), log() and finish(), such as "
                    f"galvatron.metrics.TensorBoard(folder), not {logger!r}"
                )
            self._loggers.append(logger)

    def hear(self, what: str, text: str) -> None:
        """`what`: "start", with the content of run.json, or "step", with a line of metrics.jsonl."""
        content: dict[str, Any] = json.loads(text)
        if what == "start":
            self._each(lambda logger: logger.start(RunStart(content)))
        else:
            self._each(lambda logger: logger.log(content))

    def finish(self) -> None:
        self._each(lambda logger: logger.finish())

    def _each(self, tell: Callable[[Logger], object]) -> None:
        for logger in list(self._loggers):
            try:
                tell(logger)
            except Exception as error:
                self._loggers.remove(logger)
                name = type(logger).__name__
                print(f"{name} failed: {error or type(error).__name__}; it hears no more", file=sys.stderr)
