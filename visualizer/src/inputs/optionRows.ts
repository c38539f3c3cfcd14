// Which of the search's options stand where. All others follow under their group's name, so that a new
// option of the command line is on the page with nothing to do.
import type { OptionRow, Start } from "../api/types";

export const mainOptions = ["memory", "global_batch", "seq_length", "precision", "optimizer"];

const sizesGroup = /^Numbers of the model/;
const clusterGroup = /^Cluster$/;
/** Files and outputs: the page has its own ways for them. */
const elsewhere =
  /^(help|config|model|cluster|hardware|profile|output|plan_format|explain|frontier|budgets|csv|json|svg|html|jobs)$/;

export function searchRows(start: Start): OptionRow[] {
  return (start.options.search ?? []).filter(
    (row) => !elsewhere.test(row.name) && !/Galvatron-2/.test(row.group),
  );
}

export function sizeOptions(start: Start): string[] {
  return namesOf(searchRows(start).filter((row) => sizesGroup.test(row.group)));
}

export function clusterOptions(start: Start): string[] {
  return namesOf(searchRows(start).filter((row) => clusterGroup.test(row.group)));
}

/** Names by group, without what stands elsewhere. */
export function moreOptions(start: Start): { group: string; names: string[] }[] {
  const rows = searchRows(start).filter(
    (row) =>
      !sizesGroup.test(row.group) &&
      !clusterGroup.test(row.group) &&
      !mainOptions.includes(row.name),
  );
  const groups = [...new Set(rows.map((row) => row.group))];
  return groups.map((group) => ({
    group,
    names: namesOf(rows.filter((row) => row.group === group)),
  }));
}

function namesOf(rows: OptionRow[]): string[] {
  return rows.map((row) => row.name);
}
