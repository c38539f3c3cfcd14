// Tooltips as elements: text of a file never becomes HTML, and no style attribute is needed.

export interface TipRow {
  color?: string;
  name: string;
  text: string;
  strong?: boolean;
}

function element(tag: string, className: string, text = ""): HTMLElement {
  const out = document.createElement(tag);
  out.className = className;
  out.textContent = text;
  return out;
}

function tipRow(row: TipRow): HTMLElement {
  const line = element("div", row.strong ? "tip-row tip-strong" : "tip-row");
  const key = element("span", "tip-key");
  if (row.color) key.style.background = row.color;
  line.append(key, element("span", "tip-name", row.name), element("span", "tip-text", row.text));
  return line;
}

export function tip(title: string, rows: TipRow[], note = ""): HTMLElement {
  const out = element("div", "tip");
  out.append(element("div", "tip-title", title), ...rows.map(tipRow));
  if (note) out.append(element("div", "tip-note", note));
  return out;
}
