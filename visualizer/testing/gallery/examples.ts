// Views made up to look like the planner's, of any size: what pictures are tried with alone. The page's own tests
// ask a real planner.
import type {
  Amount,
  Comparison,
  MemoryDetail,
  MemoryPart,
  MemoryView,
  PlanView,
  ResultsView,
  RunView,
  TimelineView,
  TimeView,
} from "../../src/api/types";
import { bytesText, countText, timeText } from "../../src/format";

const GIB = 2 ** 30;

export function bytes(value: number): Amount {
  return { value, text: bytesText(value) };
}
export function ms(value: number): Amount {
  return { value, text: timeText(value) };
}

const SPLIT: [MemoryPart, number][] = [
  ["parameters", 0.2],
  ["master", 0.08],
  ["gradients", 0.16],
  ["optimizer", 0.14],
  ["activations", 0.3],
  ["transient", 0.04],
  ["reserve", 0.08],
];

/** Pipeline ranks whose fullest has `most` bytes. */
export function memoryView(
  numRanks: number,
  most = 38 * GIB,
  budget: number | null = 40 * GIB,
): MemoryView {
  const ranks = Array.from({ length: numRanks }, (_, pp_rank) => {
    const total = Math.round(most * (1 - (0.3 * pp_rank) / Math.max(1, numRanks)));
    const parts = SPLIT.map(([name, share]) => {
      const size = Math.round(total * share);
      return { name, bytes: size, text: bytesText(size) };
    });
    return {
      pp_rank,
      stages: [pp_rank],
      ranks: [4 * pp_rank, 4 * pp_rank + 3] as [number, number],
      total: bytes(total),
      share_of_budget: budget === null ? null : total / budget,
      parts,
    };
  });
  return { budget: budget === null ? null : bytes(budget), device: bytes(80 * GIB), ranks };
}

export function timeView(): TimeView {
  const parts = [
    ["computing", "computing", "", 3100],
    ["recomputation", "recomputation", "", 420],
    ["optimizer", "optimizer", "", 21],
    ["TP inside nodes", "TP", "inside nodes", 310],
    ["ZeRO between nodes", "ZeRO", "between nodes", 95],
    ["gradient reduction between nodes", "gradient reduction", "between nodes", 140],
    ["pipeline transfers between nodes", "pipeline transfers", "between nodes", 12],
    ["bubble", "bubble", "", 230],
  ] as const;
  const step = parts.reduce((sum, part) => sum + part[3], 0);
  return {
    step: ms(step),
    simulated: ms(step * 1.01),
    tokens_per_second: { value: 65111, text: "65111" },
    tokens_per_second_per_device: { value: 4069, text: "4069" },
    mfu: { value: 0.559, text: "55.9 %", convention: "of 312 TFLOP/s" },
    days: null,
    device_hours: null,
    parts: parts.map(([name, part, links, time]) => ({
      name,
      part,
      links,
      ms: time,
      text: timeText(time),
      share: time / step,
    })),
    stages: [],
    hidden_communication: ms(688),
  };
}

const KINDS = [
  "forward",
  "backward",
  "recompute",
  "transfer",
  "gather",
  "reduce",
  "update",
  "bubble",
];

/** A 1F1B-like step: what matters is how many events there are, and where. */
export function timelineView(numRanks: number, numMicrobatches: number, layers = 1): TimelineView {
  const events: TimelineView["events"] = {
    row: [],
    kind: [],
    start_ms: [],
    end_ms: [],
    microbatch: [],
    chunk: [],
    unit: [],
    hidden_ms: [],
  };
  const made: [number, number, number, number, number, number][] = [];
  const add = (
    row: number,
    kind: string,
    start: number,
    end: number,
    microbatch: number,
    hidden = 0,
  ) => made.push([row, KINDS.indexOf(kind), start, end, microbatch, hidden]);
  const forward = 10;
  const backward = 20;
  for (let rank = 0; rank < numRanks; ++rank) {
    const row = 3 * rank;
    let now = rank * forward;
    if (rank > 0) add(row, "bubble", 0, now, -1);
    for (let m = 0; m < numMicrobatches; ++m) {
      for (let layer = 0; layer < layers; ++layer) {
        const size = forward / layers;
        add(row, "forward", now, now + size, m);
        add(row + 2, "gather", now - size * 0.4, now + size * 0.3, -1, size * 0.3);
        now += size;
      }
      add(row + 1, "transfer", now - 1.5, now, m, 1.5);
      for (let layer = 0; layer < layers; ++layer) {
        const size = backward / layers;
        if (layer % 2 === 0) add(row, "recompute", now, now + size * 0.3, m);
        add(row, "backward", now + (layer % 2 === 0 ? size * 0.3 : 0), now + size, m);
        add(row + 2, "reduce", now + size * 0.5, now + size * 1.1, -1, size * 0.5);
        now += size;
      }
    }
    const end = numMicrobatches * (forward + backward) + numRanks * forward;
    if (now < end) add(row, "bubble", now, end, -1);
    add(row, "update", end, end + 8, -1);
  }
  made.sort((one, other) => one[2] - other[2]);
  for (const [row, kind, start, end, microbatch, hidden] of made) {
    events.row.push(row);
    events.kind.push(kind);
    events.start_ms.push(Math.max(0, start));
    events.end_ms.push(end);
    events.microbatch.push(microbatch);
    events.chunk.push(0);
    events.unit.push(-1);
    events.hidden_ms.push(hidden);
  }
  const lanes = [
    ["", "compute"],
    [" receives", "receive"],
    [" collectives", "collectives"],
  ] as const;
  return {
    total_ms: Math.max(1, ...made.slice(-4 * numRanks).map((event) => event[3])),
    bubble_fraction: 0.12,
    busy_ms: Array.from({ length: numRanks }, () => numMicrobatches * 30),
    kinds: KINDS,
    rows: Array.from({ length: 3 * numRanks }, (_, row) => {
      const [name, lane] = lanes[row % 3] ?? lanes[0];
      return { name: `rank ${Math.floor(row / 3)}${name}`, pp_rank: Math.floor(row / 3), lane };
    }),
    events,
    num_events: events.row.length,
    left_out_ms: null,
  };
}

/** Activations that grow and shrink over a step of a rank. */
export function memoryDetail(): MemoryDetail {
  const steady = { parameters: 6 * GIB, master: 3 * GIB, optimizer: 6 * GIB, reserve: 2 * GIB };
  const times: number[] = [];
  const activations: number[] = [];
  const gradients: number[] = [];
  const transient: number[] = [];
  let alive = 0;
  for (let i = 0; i < 64; ++i) {
    const grows = i < 24 ? i % 3 !== 2 : i < 40 ? i % 2 === 0 : false;
    alive = Math.max(0, alive + (grows ? 1 : -1) * 0.9 * GIB);
    times.push(i * 14.5);
    activations.push(alive);
    gradients.push(i < 3 ? 0 : 4 * GIB);
    transient.push(i % 4 === 0 ? GIB : 0.2 * GIB);
  }
  const sums = times.map(
    (_, i) =>
      steady.parameters +
      steady.master +
      steady.optimizer +
      steady.reserve +
      (activations[i] ?? 0) +
      (gradients[i] ?? 0) +
      (transient[i] ?? 0),
  );
  const peak = Math.max(...sums);
  const constant = (value: number) => times.map(() => value);
  return {
    pp_rank: 1,
    over_time: {
      ms: times,
      parts: {
        parameters: constant(steady.parameters),
        master: constant(steady.master),
        gradients,
        optimizer: constant(steady.optimizer),
        activations,
        transient,
        reserve: constant(steady.reserve),
      },
    },
    peak: {
      ms: times[sums.indexOf(peak)] ?? 0,
      total: bytes(peak),
      alive: Array.from({ length: 16 }, (_, i) => ({
        name: `activations of microbatch ${i}, layers 8-15`,
        bytes: GIB * (2 - i / 10),
        text: bytesText(GIB * (2 - i / 10)),
      })),
    },
    tree: SPLIT.slice(0, 6).map(([name, share]) => ({
      name,
      bytes: share * 32 * GIB,
      text: bytesText(share * 32 * GIB),
      children: Array.from({ length: 8 }, (_, layer) => ({
        name: `layer ${8 + layer}, block`,
        bytes: share * 4 * GIB,
        text: bytesText(share * 4 * GIB),
        children: [
          "attention.qkv.weight",
          "attention.out.weight",
          "mlp.up.weight",
          "mlp.down.weight",
        ].map((tensor) => ({
          name: tensor,
          bytes: share * GIB,
          text: bytesText(share * GIB),
        })),
      })),
    })),
  };
}

export function frontierView(): ResultsView {
  const steps = [
    [15.2, 10540, "1 stage, full x 34"],
    [18.4, 5190, "1 stage, zero3 full x 34"],
    [22.1, 4710, "1 stage, zero3 x 20, zero3 full x 14"],
    [26.0, 4390, "1 stage, zero3 x 28, zero3 full x 6"],
    [29.2, 4080, "1 stage, zero3 x 34"],
    [40.0, 4030, "1 stage, zero3/8 x 27, zero1 x 7"],
  ] as const;
  const columns = [
    { key: "from_bytes", title: "from", left: false },
    { key: "to_bytes", title: "", left: false },
    { key: "ms_per_sample", title: "", left: false },
    { key: "global_batch", title: "", left: false },
    { key: "step_ms", title: "step", left: false },
    { key: "tokens_per_second", title: "tokens/s", left: false },
    { key: "brief", title: "plan", left: true },
  ];
  const rows = steps.map(([gib, time, plan], i) => {
    const from = gib * GIB;
    const rate = (64 * 4096) / (time / 1000);
    return [
      { text: bytesText(from), value: from },
      { text: "", value: (steps[i + 1]?.[0] ?? 80) * GIB },
      { text: timeText(time / 64), value: time / 64 },
      { text: "64", value: 64 },
      { text: timeText(time), value: time },
      { text: rate.toFixed(0), value: rate },
      { text: plan, value: plan },
    ];
  });
  return {
    title: "llama2-7b on 16 ranks",
    columns,
    rows,
    notes: "",
    json: { end_bytes: 80 * GIB },
    csv: "",
    text: "",
  };
}

export function sweepView(): ResultsView {
  const columns = [
    { key: "model", title: "", left: true },
    { key: "cluster", title: "cluster", left: true },
    { key: "world_size", title: "ranks", left: false },
    { key: "seq_length", title: "", left: false },
    { key: "global_batch", title: "batch", left: false },
    { key: "memory_bytes", title: "", left: false },
    { key: "step_ms", title: "step", left: false },
    { key: "tokens_per_second", title: "tokens/s", left: false },
    { key: "brief", title: "plan", left: true },
  ];
  const rows = ["8xA100", "2x8xA100", "8xH100"].flatMap((cluster, c) =>
    [8, 16, 32, 64].map((batch, b) => {
      const fits = !(c === 0 && b === 3);
      const rate = (c + 1) * 20000 * (1 + b * 0.12);
      const time = (batch * 4096 * 1000) / rate;
      const words = [
        "llama2-7b",
        cluster,
        c === 1 ? "16" : "8",
        "4096",
        String(batch),
        "80.0 GiB",
        fits ? timeText(time) : "",
        fits ? rate.toFixed(0) : "",
        fits ? "1 stage, zero3 x 34" : "does not fit",
      ];
      const values = [
        "llama2-7b",
        cluster,
        c === 1 ? 16 : 8,
        4096,
        batch,
        80 * GIB,
        fits ? time : null,
        fits ? rate : null,
        "",
      ];
      return words.map((text, i) => ({ text, value: values[i] ?? null }));
    }),
  );
  return { title: "llama2-7b", columns, rows, notes: "", json: { rows: [] }, csv: "", text: "" };
}

export function planView(numLayers = 34, numStages = 2, name = "searched"): PlanView {
  const perStage = Math.ceil(numLayers / numStages);
  const kind = (index: number) =>
    index === 0 ? "embedding" : index === numLayers - 1 ? "head" : "block";
  return {
    name,
    plan: {},
    problem: null,
    layers: Array.from({ length: numLayers }, (_, index) => ({
      index,
      kind: kind(index),
      stage: Math.floor(index / perStage),
      strategy: {
        tp_degree: index < 20 ? 2 : 1,
        zero_stage: 3,
        recompute: index % perStage > 11 ? "full" : "none",
      },
      strategy_text: `${index < 20 ? "tp2 " : ""}zero3${index % perStage > 11 ? " full" : ""}`,
      dp_degree: 8,
      num_params: 202_000_000,
    })),
    stages: Array.from({ length: numStages }, (_, stage) => ({
      stage,
      pp_rank: stage,
      chunk: 0,
      layers: [stage * perStage, Math.min(numLayers, (stage + 1) * perStage) - 1] as [
        number,
        number,
      ],
      ranks: [8 * stage, 8 * stage + 7] as [number, number],
    })),
    ranks: { world_size: 8 * numStages, per_stage: 8, per_node: 8 },
    priced: null,
    drawing: `${numStages} stages of ${perStage} layers on 8 ranks each`,
  };
}

export function comparison(): Comparison {
  const times: [string, number, number][] = [
    ["computing", 3100, 3100],
    ["recomputation", 0, 960],
    ["TP inside nodes", 310, 305],
    ["ZeRO between nodes", 95, 0],
    ["gradient reduction between nodes", 140, 410],
    ["bubble", 230, 120],
  ];
  return {
    one: planView(34, 2, "searched"),
    other: planView(34, 2, "ZeRO-3, recompute"),
    verdict: "ZeRO-3, recompute is 28.99 % slower",
    text: "",
    parts: times.map(([name, one, other]) => ({
      name,
      one_ms: one,
      one_text: timeText(one),
      other_ms: other,
      other_text: timeText(other),
    })),
    memory: [0, 1].map((pp_rank) => ({
      pp_rank,
      one: bytes((38 - 3 * pp_rank) * GIB),
      other: pp_rank === 0 ? bytes(18.4 * GIB) : null,
    })),
    layers: [],
  };
}

/** A run of so many steps; `noise` that does not change from one test to the next. */
export function runView(numSteps = 400, numRanks = 8): RunView {
  let state = 7;
  const noise = () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647 - 0.5;
  };
  const steps = Array.from({ length: numSteps }, (_, i) => i + 1);
  const loss = steps.map((step) => 3 + 6 * Math.exp(-step / 90) + 0.5 * noise());
  const evaluations = steps.filter((step) => step % 50 === 0);
  const plan = planView(10, 2);
  const time = timeView();
  return {
    title: "gpt2-tiny: quickstart-run",
    state: "stopped",
    state_text: `no end was recorded: last step ${numSteps}`,
    facts: [
      { name: "model", text: "gpt2-tiny" },
      { name: "ranks", text: "8 on cpu" },
      { name: "batch", text: "64 in 4 microbatches" },
      { name: "precision", text: "bf16" },
      { name: "tokens", text: countText(8192) },
    ],
    metrics: {
      step: steps,
      loss,
      grad_norm: steps.map((_, i) => (i === 9 ? null : 1 + noise())),
      lr: steps.map((step) => 6e-4 * Math.min(1, step / 40)),
      seconds: steps.map(() => 0.6 + 0.05 * noise()),
      tokens_per_second: steps.map(() => 13200 + 900 * noise()),
      memory_bytes: steps.map(() => 0.3 * GIB),
    },
    evaluations: {
      step: evaluations,
      validation_loss: evaluations.map((step) => 3.1 + 6 * Math.exp(-step / 90)),
    },
    notes: ["The last line of metrics.jsonl is cut off: the run was stopped while it wrote."],
    plan,
    predicted: { step: time.step, parts: time.parts },
    measured: {
      step: ms(time.step.value * 1.08),
      tokens_per_second: { value: 60000, text: "60000" },
    },
    memory: {
      budget: bytes(40 * GIB),
      ranks: Array.from({ length: numRanks }, (_, rank) => {
        const total = (30 + (rank % 4)) * GIB; // the reserve included
        return {
          rank,
          stage: Math.floor((2 * rank) / numRanks),
          measured: bytes(total * 0.9),
          predicted: bytes(total * 0.92),
          parts: SPLIT.map(([name, share]) => ({
            name,
            bytes: total * share,
            text: bytesText(total * share),
          })),
        };
      }),
    },
    timeline: timelineView(4, 6),
    options: { model: "gpt2-tiny", global_batch: 64, seq_length: 256, lr: 6e-4 },
    search: { memory_budget_bytes: 40 * GIB },
  };
}
