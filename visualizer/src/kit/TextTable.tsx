import type { ReactNode } from "react";

export interface TextRow {
  key: string;
  cells: ReactNode[];
}

/** A table of texts, which scrolls sideways where the page is narrow. */
export function TextTable(props: { label: string; heads: string[]; rows: TextRow[] }) {
  return (
    <div className="table-scroll in-sight" role="region" aria-label={props.label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {props.heads.map((head, index) => (
              <th key={index} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={row.key}>
              {row.cells.map((cell, index) =>
                index === 0 ? (
                  <th key={index} scope="row" className={isShort(cell) ? "short" : undefined}>
                    {cell}
                  </th>
                ) : (
                  <td key={index} className={isShort(cell) ? "short" : undefined}>
                    {cell}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A figure stays in one line. */
function isShort(cell: ReactNode): boolean {
  return typeof cell === "string" && cell.length < 16;
}
