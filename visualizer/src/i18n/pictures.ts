// Texts of the pictures and of the report.
import type { Table } from "./texts";

export const pictures = {
  as_table: { en: "As table", zh: "表格" },
} satisfies Table;
