import { describe, expect, it } from "vitest";
import type { Opened } from "../api/types";
import { change, newPage, questionOf, withOption } from "./page";

const batch = (value: string) => ({
  do: "edit" as const,
  document: { options: { global_batch: value } },
  about: "option global_batch",
});

describe("undo", () => {
  it("takes what is typed into one field as one step", () => {
    let page = newPage();
    for (const value of ["3", "32", "321"]) page = change(page, batch(value));
    page = change(page, { do: "undo" });
    expect(page.document).toEqual(newPage().document);
    page = change(page, { do: "redo" });
    expect(page.document.options).toEqual({ global_batch: "321" });
  });

  it("forgets what was undone with the next change, and does nothing where there is nothing", () => {
    let page = change(newPage(), batch("3"));
    page = change(page, { do: "undo" });
    expect(page.future).toHaveLength(1);
    page = change(page, batch("5"));
    expect(page.future).toHaveLength(0);
    expect(change(page, { do: "redo" })).toBe(page);
  });
});

describe("files", () => {
  const opened = (kind: Opened["kind"], content: Opened["content"]): Opened => ({
    kind,
    name: "mine.json",
    title: "",
    content,
  });

  it("of a plan show it, and ask about its batch", () => {
    const plan = { global_batch: 16, model: "unknown" };
    const page = change(newPage(), { do: "open", opened: opened("plan", plan), start: null });
    expect(page.document.plan).toEqual({ name: "mine.json", plan });
    expect(page.document.plans).toHaveLength(1);
    expect(page.document.options.global_batch).toBe("16");
    expect(page.document.model.name).toBe("llama2-13b");
  });

  it("of a profile become the machine", () => {
    const profile = { format: "galvatron-hardware-profile" };
    const step = { do: "open", opened: opened("hardware_profile", profile), start: null } as const;
    const { document } = change(newPage(), step);
    expect(questionOf(document).machine).toEqual({ hardware: profile });
  });

  it("of a run are looked at, and the question stays", () => {
    const page = change(newPage(), { do: "open", opened: opened("run", {}), start: null });
    expect(page.view.tab).toBe("run");
    expect(page.document).toEqual(newPage().document);
  });
});

it("leaves to the planner what is not said", () => {
  expect(withOption({ memory: "24GiB", precision: "bf16" }, "memory", "")).toEqual({
    precision: "bf16",
  });
});

it("compares a plan that is opened, whatever was compared before", () => {
  const compare: [string, string] = ["baseline:ZeRO-3", "searched"];
  const before = change(newPage(), { do: "view", view: { compare } });
  const step = (kind: Opened["kind"]) => ({
    do: "open" as const,
    opened: { kind, name: "mine.json", title: "", content: {} },
    start: null,
  });
  expect(change(before, step("galvatron2_plan")).view.compare).toEqual(["shown", "searched"]);
  expect(change(before, step("model_profile")).view.compare).toEqual(compare);
});
