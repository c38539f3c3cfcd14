import { expect, it } from "vitest";
import { text } from "../i18n/texts";
import { candidatesOf } from "./certificate";
import { progressText } from "./progress";

it("says how many candidates are too large", () => {
  const certificate =
    "  0 ms per sample; no plan of this space is below inf ms (gap 0: optimal)\n" +
    "  60 candidates: 58 too large, 2 pruned by their bound, 0 looked into (0 nodes)\n";
  expect(candidatesOf(certificate)).toEqual({ all: 60, large: 58 });
  expect(candidatesOf("")).toBeNull();
});

it("says how far a search is", () => {
  const progress = { candidates: 9, decided: 4, seconds: 1, text: "" };
  const said = (best_ms: number | null, bound_ms: number) =>
    progressText({ ...progress, best_ms, bound_ms }, (key, values) => text("en", key, values));
  expect(said(269, 268)).toBe("best 269 ms per sample, none below 268 ms");
  expect(said(null, 0)).toBe("no plan yet");
});
