// The text alternative of a picture. Wide ones scroll, by keyboard too.
import { MOST_ROWS, type Table } from "./table";
import { useWords } from "./useWords";

export function TableView({ title, table }: { title: string; table: Table }) {
  const { t } = useWords();
  const shown = table.rows.slice(0, MOST_ROWS);
  return (
    <div className="picture-table" role="region" aria-label={title} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {table.columns.map((column, i) => (
              <th key={i} scope="col" className={column.numeric ? "picture-number" : undefined}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row, i) => (
            <tr key={i}>
              {row.map((content, j) => (
                <td key={j} className={table.columns[j]?.numeric ? "picture-number" : undefined}>
                  {content.text}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < table.rows.length && (
        <p className="help">
          {t("rows_left_out", { shown: shown.length, all: table.rows.length })}
        </p>
      )}
    </div>
  );
}
