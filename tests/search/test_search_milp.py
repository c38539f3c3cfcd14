"""HiGHS as an independent judge of the search: random instances as mixed-integer programs.

The objective and the memory rule are written here a second time, from the head comments of
src/galvatron/cost/cost_tables.h, as a program over paths: node (i, s, c) means that layer i runs on
stage s under candidate c; one unit flows from layer 0 to the last, over arcs that stay on a stage
or go on to the next one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path

import highspy
import numpy as np
import pytest

SOURCE_DIR = Path(__file__).resolve().parents[2]
BINARY_DIR = Path(os.environ.get("GALVATRON_BINARY_DIR", SOURCE_DIR / "build" / "release"))
NUM_INSTANCES = 100
SEED = 20261121
RELATIVE = 1e-9


class Program:
    """Columns and rows of a minimisation."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.integer: list[bool] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []

    def column(self, cost: float = 0, upper: float = highspy.kHighsInf, integer: bool = False) -> int:
        self.cost.append(cost)
        self.upper.append(upper)
        self.integer.append(integer)
        return len(self.cost) - 1

    def row(self, terms: dict[int, float], low: float = -highspy.kHighsInf, high: float = highspy.kHighsInf) -> None:
        self.rows.append((terms, low, high))

    def solve(self) -> np.ndarray | None:
        lp = highspy.HighsLp()
        lp.num_col_ = len(self.cost)
        lp.num_row_ = len(self.rows)
        lp.col_cost_ = np.array(self.cost, dtype=float)
        lp.col_lower_ = np.zeros(len(self.cost))
        lp.col_upper_ = np.array(self.upper, dtype=float)
        kinds = {True: highspy.HighsVarType.kInteger, False: highspy.HighsVarType.kContinuous}
        lp.integrality_ = [kinds[one] for one in self.integer]
        lp.row_lower_ = np.array([low for _, low, _ in self.rows], dtype=float)
        lp.row_upper_ = np.array([high for _, _, high in self.rows], dtype=float)
        matrix = highspy.HighsSparseMatrix()
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.num_col_, matrix.num_row_ = lp.num_col_, lp.num_row_
        matrix.start_ = np.cumsum([0] + [len(terms) for terms, _, _ in self.rows]).astype(np.int32)
        matrix.index_ = np.array([i for terms, _, _ in self.rows for i in terms], dtype=np.int32)
        matrix.value_ = np.array([v for terms, _, _ in self.rows for v in terms.values()], dtype=float)
        lp.a_matrix_ = matrix
        highs = highspy.Highs()
        highs.silent()
        options = {"mip_rel_gap": 0.0, "mip_abs_gap": 1e-10, "mip_feasibility_tolerance": 1e-9, "threads": 1}
        for name, value in options.items():
            highs.setOptionValue(name, value)
        highs.passModel(lp)
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return None
        assert status == highspy.HighsModelStatus.kOptimal, status
        return np.array(highs.getSolution().col_value)


class Instance:
    """What the probe printed, with the rules of the cost tables."""

    def __init__(self, data: dict) -> None:
        self.data = data
        self.n = len(data["type_of_layer"])
        self.stages = data["pp_degree"]
        self.m = data["num_microbatches"]
        self.gpipe = data["schedule"] == "gpipe"

    def candidates(self, layer: int) -> list[dict]:
        return self.data["cost"][self.data["type_of_layer"][layer]]

    def border(self, layer: int) -> dict:
        """In front of a layer: what the type before it hands on."""
        return self.data["borders"][self.data["border_behind"][self.data["type_of_layer"][layer - 1]]]

    def transition(self, layer: int, before: dict, cost: dict) -> float:
        return self.border(layer)["transition_ms"][before["layout"] * self.data["num_layouts"] + cost["layout"]]

    def in_flight(self, stage: int) -> int:
        return self.m if self.gpipe else min(self.m, self.stages - stage)

    def evaluate(self, layers_per_stage: list[int], choice: list[int]) -> tuple[float, int]:
        """Step time and bytes of the fullest stage."""
        forward, backward, waits, once, memory = [], [], [0.0], [], []
        begin = 0
        for stage, count in enumerate(layers_per_stage):
            end = begin + count
            costs = [self.candidates(i)[choice[i]] for i in range(begin, end)]
            moves = sum(
                self.transition(i, self.candidates(i - 1)[choice[i - 1]], self.candidates(i)[choice[i]])
                for i in range(max(begin, 1), end)
            )
            if stage > 0:
                waits.append(self.border(begin)["transfer_ms"])
            forward.append(sum(c["forward_ms"] for c in costs) + moves)
            backward.append(sum(c["backward_ms"] for c in costs) + moves)
            once.append(sum(c["once_ms"] for c in costs))
            memory.append(self.stage_bytes(stage, costs))
            begin = end
        stages, borders = sum(forward) + sum(backward), 2 * sum(waits)
        if self.gpipe:
            later = (self.m - 1) * (max(*forward, *waits) + max(*backward, *waits))
        else:
            of_stages, of_borders = self.round_trips()
            slowest = max(map(sum, zip(forward, backward, strict=True)))
            later = max((self.m - 1) * slowest, of_stages * stages + of_borders * borders)
        return stages + borders + later + max(once), max(memory)

    def round_trips(self) -> tuple[float, float]:
        """How often 1F1B passes all stages and all borders after the first time."""
        if self.stages == 1:
            return self.m - 1, 0
        turns = -(-(self.m - 1) // self.stages)
        return (self.m - 1) / self.stages, (self.m - 1 - turns) / (self.stages - 1)

    def stage_bytes(self, stage: int, costs: list[dict]) -> int:
        states = sum(c["state"] for c in costs)
        kept, peak = costs[0]["carried"], 0
        activations = kept + sum(c["activation"] for c in costs)
        for i, a in enumerate(costs):
            kept += a["activation"]
            before = costs[i - 1]["gathered"] if i > 0 else 0
            ahead, reducing = (costs[i + 1][key] if i + 1 < len(costs) else 0 for key in ("gathered", "reducing"))
            forward = a["gathered"] + ahead + a["forward_workspace"]
            peak = max(peak, kept + forward, kept + before + reducing + backward_bytes(a))
        return self.data["reserve"] + states + (self.in_flight(stage) - 1) * activations + peak


def total(*parts: dict[int, float]) -> dict[int, float]:
    out: dict[int, float] = defaultdict(float)
    for terms in parts:
        for column, value in terms.items():
            out[column] += value
    return out


def scaled(terms: dict[int, float], factor: float) -> dict[int, float]:
    return {column: factor * value for column, value in terms.items()}


def backward_ways(cost: dict) -> tuple[int, int]:
    """Bytes while a backward runs, and at its end."""
    return (
        cost["gathered"] + cost["backward_workspace"],
        cost["parameter_gradient"] + cost["reducing"] - cost["activation"],
    )


def backward_bytes(cost: dict) -> int:
    return max(backward_ways(cost))


class PathProgram(Program):
    def __init__(self, instance: Instance) -> None:
        super().__init__()
        self.instance = instance
        self.arcs: dict[tuple[int, int, int, int, int], int] = {}  # (i, s, c, s', c') into layer i + 1
        self.inflow: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        self.outflow: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        # The same, of arcs that stay on a stage.
        self.from_stage: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        self.to_stage: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        self.node: dict[tuple[int, int, int], int] = {}
        self.add_nodes()
        self.add_arcs()
        self.tie_groups()
        self.add_objective()
        for stage in range(instance.stages):
            for layer in range(instance.n):
                self.limit_memory(layer, stage)

    def stages_of(self, layer: int) -> range:
        p, n = self.instance.stages, self.instance.n
        return range(max(0, p - (n - layer)), min(p - 1, layer) + 1)

    def nodes(self, layer: int, stage: int) -> list[tuple[dict, tuple[int, int, int]]]:
        if layer >= self.instance.n or stage not in self.stages_of(layer):
            return []
        return [(cost, (layer, stage, c)) for c, cost in enumerate(self.instance.candidates(layer))]

    def add_nodes(self) -> None:
        for layer in range(self.instance.n):
            for stage in self.stages_of(layer):
                for _, key in self.nodes(layer, stage):
                    self.node[key] = self.column(upper=1, integer=True)

    def add_arcs(self) -> None:
        instance = self.instance
        for layer in range(instance.n - 1):
            for stage in self.stages_of(layer):
                for after in (stage, stage + 1):
                    for _, key in self.nodes(layer, stage):
                        for _, to in self.nodes(layer + 1, after):
                            arc = self.column(upper=1)
                            self.arcs[(*key, after, to[2])] = arc
                            self.outflow[key].append(arc)
                            self.inflow[to].append(arc)
                            if after == stage:
                                self.to_stage[key].append(arc)
                                self.from_stage[to].append(arc)
        for key, node in self.node.items():
            if key[0] > 0:
                self.row({node: -1, **dict.fromkeys(self.inflow[key], 1)}, 0, 0)
            if key[0] + 1 < instance.n:
                self.row({node: -1, **dict.fromkeys(self.outflow[key], 1)}, 0, 0)
        for layer in range(instance.n):
            self.row({node: 1 for key, node in self.node.items() if key[0] == layer}, 1, 1)

    def tie_groups(self) -> None:
        groups = self.instance.data["groups"]
        if not groups:
            return
        tied = [i for i in range(self.instance.n) if groups[self.instance.data["type_of_layer"][i]][0] >= 0]
        if not tied:
            return
        names = {group for i in tied for group in groups[self.instance.data["type_of_layer"][i]]}
        picked = {name: self.column(upper=1) for name in names}
        for layer in tied:
            row = groups[self.instance.data["type_of_layer"][layer]]
            for name in names:
                terms = {node: 1.0 for key, node in self.node.items() if key[0] == layer and row[key[2]] == name}
                self.row({**terms, picked[name]: -1}, 0, 0)

    def add_objective(self) -> None:
        instance = self.instance
        forward: list[dict[int, float]] = [defaultdict(float) for _ in range(instance.stages)]
        backward: list[dict[int, float]] = [defaultdict(float) for _ in range(instance.stages)]
        waits: list[dict[int, float]] = [defaultdict(float) for _ in range(instance.stages)]  # in front of each
        once: list[dict[int, float]] = [defaultdict(float) for _ in range(instance.stages)]
        for (layer, stage, c), node in self.node.items():
            cost = instance.candidates(layer)[c]
            forward[stage][node] += cost["forward_ms"]
            backward[stage][node] += cost["backward_ms"]
            once[stage][node] += cost["once_ms"]
        for (layer, stage, c, after, d), arc in self.arcs.items():
            move = instance.transition(layer + 1, instance.candidates(layer)[c], instance.candidates(layer + 1)[d])
            forward[after][arc] += move
            backward[after][arc] += move
            if after > stage:
                waits[after][arc] += instance.border(layer + 1)["transfer_ms"]
        repeats = instance.m - 1
        stages, borders = total(*forward, *backward), total(*waits, *waits)
        for terms in (stages, borders):
            for column, time in terms.items():
                self.cost[column] += time
        if instance.gpipe:
            self.add_largest([*forward, *waits], repeats)
            self.add_largest([*backward, *waits], repeats)
        else:
            of_stages, of_borders = instance.round_trips()
            each = [total(f, b) for f, b in zip(forward, backward, strict=True)]
            paces = [scaled(terms, repeats) for terms in each]
            self.add_largest([*paces, total(scaled(stages, of_stages), scaled(borders, of_borders))], 1)
        self.add_largest(once, 1)

    def add_largest(self, per_stage: list[dict[int, float]], weight: float) -> None:
        largest = self.column(cost=weight)
        for terms in per_stage:
            self.row({**{column: -value for column, value in terms.items()}, largest: 1}, 0)

    def limit_memory(self, layer: int, stage: int) -> None:
        """Every moment in which the layer takes part; a layer of another stage adds nothing of its own."""
        instance = self.instance
        states: dict[int, float] = defaultdict(float)
        for (i, s, c), node in self.node.items():
            if s != stage:
                continue
            cost = instance.candidates(i)[c]
            kept = cost["activation"] if i <= layer else 0
            # Kept where nothing is in front of it on its stage.
            carried = instance.in_flight(stage) * cost["carried"]
            states[node] += cost["state"] + (instance.in_flight(stage) - 1) * cost["activation"] + kept + carried
            for arc in self.from_stage[(i, s, c)]:
                states[arc] -= carried
        here = self.nodes(layer, stage)
        in_front, behind = self.nodes(layer - 1, stage), self.nodes(layer + 1, stage)

        def limit(*parts: tuple[int, float]) -> None:
            terms = dict(states)
            for column, value in parts:
                terms[column] = terms.get(column, 0) + value
            self.row(terms, high=instance.data["budget"] - instance.data["reserve"])

        # Forward, with the parameters behind gathered ahead.
        limit(
            *((self.node[key], cost["gathered"] + cost["forward_workspace"]) for cost, key in here),
            *((arc, cost["gathered"]) for cost, key in behind for arc in self.from_stage[key]),
        )
        for way in (0, 1):
            # Backward, with the parameters in front gathered ahead and the gradient behind being reduced.
            limit(
                *((self.node[key], backward_ways(cost)[way]) for cost, key in here),
                *((arc, cost["gathered"]) for cost, key in in_front for arc in self.to_stage[key]),
                *((arc, cost["reducing"]) for cost, key in behind for arc in self.from_stage[key]),
            )

    def plan(self) -> tuple[list[int], list[int]] | None:
        values = self.solve()
        if values is None:
            return None
        chosen = sorted(key for key, node in self.node.items() if values[node] > 0.5)
        assert [key[0] for key in chosen] == list(range(self.instance.n))
        sizes = [sum(1 for key in chosen if key[1] == stage) for stage in range(self.instance.stages)]
        return sizes, [key[2] for key in chosen]


@pytest.fixture(scope="module")
def instances() -> list[Instance]:
    probe = BINARY_DIR / "bin" / "search_probe"
    out = subprocess.run([str(probe), str(NUM_INSTANCES), str(SEED)], check=True, capture_output=True, text=True)
    return [Instance(one) for one in json.loads(out.stdout)]


def test_instances_are_of_every_kind(instances):
    assert len(instances) == NUM_INSTANCES
    assert sum(one.gpipe for one in instances) > 25
    assert sum(one.stages > 1 for one in instances) > 50
    assert sum(len(one.data["cost"]) > 3 for one in instances) >= 20
    assert sum(bool(one.data["groups"]) for one in instances) > 15
    assert sum(len(one.data["borders"]) > 1 for one in instances) > 40
    assert 2 < sum(one.data["answer"] is None for one in instances) < 30


@pytest.mark.parametrize("index", range(NUM_INSTANCES))
def test_highs_finds_the_same_optimum(instances, index):
    instance = instances[index]
    answer = instance.data["answer"]
    theirs = PathProgram(instance).plan()
    assert (theirs is None) == (answer is None)
    if theirs is None:
        return
    step_ms, memory = instance.evaluate(*theirs)
    assert memory <= instance.data["budget"]
    assert answer["step_ms"] == pytest.approx(step_ms, rel=RELATIVE)
    ours, memory = instance.evaluate(answer["layers_per_stage"], answer["choice"])
    assert ours == pytest.approx(answer["step_ms"], rel=RELATIVE)
    assert memory <= instance.data["budget"]
