// A picture as a table: for readers who cannot see it, and as CSV.

/** What people read, and the number behind it where there is one. */
export interface Cell {
  text: string;
  value?: number | string | null;
}
export interface Table {
  columns: { title: string; key?: string; numeric?: boolean }[];
  rows: Cell[][];
}

export function cell(text: string, value?: number | string | null): Cell {
  return value === undefined ? { text } : { text, value };
}

/** Rows that a page shows before it becomes slow; files hold all. */
export const MOST_ROWS = 500;

function field(content: number | string | null): string {
  if (content === null) return "";
  const text = String(content);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** RFC 4180, numbers in full. */
export function csv(table: Table): string {
  const head = table.columns.map((column) => field(column.key ?? column.title));
  const rows = table.rows.map((row) =>
    row.map(({ text, value }) => field(value === undefined ? text : value)),
  );
  return [head, ...rows].map((row) => row.join(",") + "\r\n").join("");
}
