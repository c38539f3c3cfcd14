// The pictures: each takes a view of the contract (api/types.ts) and nothing else that is known of a plan.
export { CompareBars } from "./CompareBars";
export { Frontier } from "./Frontier";
export { MemoryBars } from "./MemoryBars";
export { MemoryOverTime } from "./MemoryOverTime";
export { MemoryTreemap } from "./MemoryTreemap";
export { Metrics } from "./Metrics";
export { RunMemory } from "./RunMemory";
export { Sweep } from "./Sweep";
export { Timeline } from "./Timeline";
export { TimeParts } from "./TimeParts";
