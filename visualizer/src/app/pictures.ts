// The pictures, loaded with the first part of the page that shows one.
import { lazy } from "react";

export const MemoryBars = lazy(async () => ({ default: (await import("../pictures")).MemoryBars }));
export const MemoryTreemap = lazy(async () => ({
  default: (await import("../pictures")).MemoryTreemap,
}));
export const MemoryOverTime = lazy(async () => ({
  default: (await import("../pictures")).MemoryOverTime,
}));
export const Timeline = lazy(async () => ({ default: (await import("../pictures")).Timeline }));
export const TimeParts = lazy(async () => ({ default: (await import("../pictures")).TimeParts }));
export const Frontier = lazy(async () => ({ default: (await import("../pictures")).Frontier }));
export const Sweep = lazy(async () => ({ default: (await import("../pictures")).Sweep }));
export const CompareBars = lazy(async () => ({
  default: (await import("../pictures")).CompareBars,
}));
export const RunPage = lazy(async () => ({ default: (await import("../report/RunPage")).RunPage }));
