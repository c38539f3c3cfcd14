// Files and folders that a person drops or chooses, as the server wants them.
import type { DropItem } from "react-aria-components";

export interface Dropped {
  name: string;
  /** One file by its text; a run folder by the texts of those of its files that say something. */
  files: Record<string, string>;
  isFolder: boolean;
}

/** The files of a run that are read (docs/report.md); checkpoints and logs beside them are large. */
const runFiles = ["metrics.jsonl", "run.json", "plan.json", "summary.json", "trace.json"];
const marksOfRun = ["metrics.jsonl", "summary.json", "run.json"];

export class TooLarge extends Error {
  constructor(
    readonly file: string,
    readonly bytes: number,
  ) {
    super(file);
  }
}

export async function readDropped(items: DropItem[], limit: number): Promise<Dropped[]> {
  const out: Dropped[] = [];
  for (const item of items) {
    if (item.kind === "file") out.push(await readFile(await item.getFile(), limit));
    if (item.kind === "directory") {
      const files: File[] = [];
      for await (const entry of item.getEntries()) {
        if (entry.kind === "file") files.push(await entry.getFile());
      }
      out.push(...(await readFolder(item.name, files, limit)));
    }
  }
  return out;
}

/** Of a file chooser: a folder's files carry their path below it. */
export async function readChosen(chosen: File[], limit: number): Promise<Dropped[]> {
  const folder = chosen[0]?.webkitRelativePath.split("/")[0];
  if (!folder) return Promise.all(chosen.map((file) => readFile(file, limit)));
  const direct = chosen.filter((file) => file.webkitRelativePath.split("/").length === 2);
  return readFolder(folder, direct, limit);
}

async function readFolder(name: string, files: File[], limit: number): Promise<Dropped[]> {
  if (!files.some((file) => marksOfRun.includes(file.name))) {
    const texts = files.filter((file) => file.name.endsWith(".json") && file.size <= limit);
    return Promise.all(texts.map((file) => readFile(file, limit)));
  }
  const run: Dropped = { name, files: {}, isFolder: true };
  let bytes = 0;
  for (const file of files.filter((one) => runFiles.includes(one.name))) {
    bytes += file.size;
    // A trace is the largest and the least: without it there is no timeline.
    if (bytes > limit && file.name === "trace.json") bytes -= file.size;
    else if (bytes > limit) throw new TooLarge(`${name}/${file.name}`, bytes);
    else run.files[file.name] = await file.text();
  }
  return [run];
}

async function readFile(file: File, limit: number): Promise<Dropped> {
  if (file.size > limit) throw new TooLarge(file.name, file.size);
  return { name: file.name, files: { [file.name]: await file.text() }, isFolder: false };
}
