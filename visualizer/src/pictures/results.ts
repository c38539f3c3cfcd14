// Rows of a frontier or a sweep, by the keys of their columns.
import type { Json, ResultsView } from "../api/types";
import type { Picture } from "./frame";
import type { Point } from "./pointKeys";
import { cell, type Table } from "./table";

export interface RowPicture extends Picture {
  /** The view's row of each point, by series. */
  rows: number[][];
}

export interface Result {
  /** Of the view's rows. */
  index: number;
  text: (key: string) => string;
  number: (key: string) => number | null;
}

export function resultsOf(view: ResultsView): Result[] {
  const place = new Map(view.columns.map(({ key }, i) => [key, i]));
  return view.rows.map((row, index) => {
    const at = (key: string) => row[place.get(key) ?? -1];
    return {
      index,
      text: (key) => at(key)?.text ?? "",
      number: (key) => {
        const value = at(key)?.value;
        return typeof value === "number" && Number.isFinite(value) ? value : null;
      },
    };
  });
}

/** Of the points of each series, `rows`, what keys go through. */
export function resultPoints(view: ResultsView, rows: number[][]): Point[] {
  const shown = resultsTable(view);
  const said = (row: number) =>
    shown.rows[row]?.flatMap(({ text }, i) => (text ? [`${shown.columns[i]?.title} ${text}`] : []));
  return rows.flatMap((places, seriesIndex) =>
    places.flatMap((row, dataIndex) =>
      row < 0 ? [] : [{ seriesIndex, dataIndex, text: said(row)?.join(", ") ?? "" }],
    ),
  );
}

function plain(value: Json): string | number | null {
  return typeof value === "string" || typeof value === "number" || value === null
    ? value
    : JSON.stringify(value);
}

/** The columns that people read; files have the others too, as the command line writes them. */
export function resultsTable(view: ResultsView): Table {
  const shown = view.columns.flatMap((column, i) => (column.title ? [{ ...column, i }] : []));
  return {
    columns: shown.map(({ key, title, left }) => ({ key, title, numeric: !left })),
    rows: view.rows.map((row) =>
      shown.map(({ i }) => cell(row[i]?.text ?? "", plain(row[i]?.value ?? null))),
    ),
  };
}
