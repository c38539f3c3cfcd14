"""The rule that judges single precision, on small numbers."""

from __future__ import annotations

import json
import math
import re

import pytest
import single_precision
import torch
from single_precision import FLOOR_ULPS, ORDERS, ULP, SinglePrecision, another_order, in_every_order, judge

TRUTH = [1.0, 2.0, -4.0]
FLOOR = FLOOR_ULPS * ULP * 4


def off_by(error: float) -> list[float]:
    return [1.0, 2.0 - error, -4.0]


def test_twice_the_worst_order_and_a_floor_are_allowed():
    yardsticks = [off_by(1e-6), off_by(-3e-6)]
    assert judge(off_by(6e-6 + 0.99 * FLOOR), yardsticks, TRUTH).holds
    assert not judge(off_by(6e-6 + 1.01 * FLOOR), yardsticks, TRUTH).holds
    assert judge(off_by(0.99 * FLOOR), [TRUTH], TRUTH).holds
    assert not judge(off_by(1.01 * FLOOR), [TRUTH], TRUTH).holds
    assert judge(off_by(1.01 * FLOOR), [TRUTH], TRUTH, scale=8).holds
    assert not judge(off_by(math.nan), yardsticks, TRUTH).holds
    assert not judge(off_by(1e-6), [off_by(math.nan)], TRUTH).holds
    with pytest.raises(AssertionError, match="nothing is compared"):
        judge(0.0, [0.0], 0.0)
    with pytest.raises(AssertionError, match=re.escape("(2,) is not (3,)")):
        judge(TRUTH[:2], [TRUTH], TRUTH)


def test_a_step_is_judged_by_the_yardstick_so_far():
    judge_of_steps = SinglePrecision("tiny", "gpt2", "steps")
    truth, grows = [4.0] * 3, [4.0, 4.0 + 1e-5, 4.0]
    judge_of_steps.require_curve("losses", [4.0, 4.0 - 2e-5, 4.0 + 2e-5], [grows], truth)
    with pytest.raises(AssertionError, match="losses to step 1 of tiny"):
        judge_of_steps.require_curve("losses", [4.0 + 1e-5, 4.0, 4.0], [grows], truth)


def test_the_sentence_has_everything(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    single_precision.circumstances.cache_clear()
    with pytest.raises(AssertionError) as caught:
        SinglePrecision("t5-tiny", "t5", "plans").require("loss", off_by(1e-4), [off_by(1e-6)], TRUTH)
    single_precision.circumstances.cache_clear()
    capability = torch.backends.cpu.get_cpu_capability()
    for part in (
        "loss of t5-tiny, plans: off by 1.00e-04, transformers by 1.00e-06; allowed are 2 x that + 1.9e-06 = 3.91e-06",
        "(element 1: ours 1.9999, transformers 1.999999, the truth 2, of a largest 4)",
        f"capability {capability}, {single_precision.THREADS} thread",
        "MKL_CBWR=COMPATIBLE",
    ):
        assert part in str(caught.value), str(caught.value)


def test_another_order_rounds_otherwise_and_is_the_same_sum():
    x, w = torch.randn(30, 200), torch.randn(40, 200, requires_grad=True)

    def gradient() -> torch.Tensor:
        w.grad = None
        torch.nn.functional.linear(x, w).square().sum().backward()
        return w.grad

    orders = in_every_order(gradient)
    assert len(orders) == ORDERS
    assert all(not torch.equal(orders[0], other) for other in orders[1:])
    assert all(torch.allclose(orders[0], other, rtol=1e-4, atol=1e-3) for other in orders[1:])
    a, b = torch.arange(12.0).view(2, 2, 3), torch.arange(18.0).view(2, 3, 3)
    with another_order(1):
        assert torch.equal(a @ b, torch.einsum("bik,bkj->bij", a, b))  # integers: exact in any order


def test_the_table_shows_the_worst_of_each_family():
    def line(run: str, family: str, ratio: float, share: float) -> str:
        return json.dumps({"family": family, "run": run, "on": "EPYC", "count": 1, "ratio": ratio, "share": share})

    lines = [line("plans", "t5", 1.5, 0.7), line("plans", "t5", 1.25, 0.75), line("plans", "bert", 0.0, 0.5)]
    lines.append(line("one rank", "t5", 1.0, 0.5))
    assert single_precision.table(lines, "run") == (
        "| run | bert | t5 |\n| --- | --- | --- |\n"
        "| one rank |  | 1.00 (50 %) |\n| plans | floor (50 %) | 1.50 (75 %) |"
    )
    assert single_precision.table(lines, "on").endswith("\n| EPYC | floor (50 %) | 1.50 (75 %) |")
