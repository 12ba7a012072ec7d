export interface Table {
  readonly title: string;
  /** The first column names the row; all others are figures and stand on the right. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
}

export function formatText(table: Table): string {
  const lines = [table.columns, ...table.rows];
  const widths = table.columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const print = (line: readonly string[]): string =>
    widths
      .map((width, column) =>
        column === 0 ? (line[column] ?? "").padEnd(width) : (line[column] ?? "").padStart(width),
      )
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [
    table.title,
    "",
    ...[print(table.columns), rule, ...table.rows.map(print), ...table.notes].map((line) => `  ${line}`),
    "",
  ].join("\n");
}

export function formatMarkdown(table: Table): string {
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    `## ${table.title}`,
    "",
    row(table.columns),
    row(table.columns.map((_, column) => (column === 0 ? "---" : "--:"))),
    ...table.rows.map(row),
    "",
    ...table.notes.map((note) => `${note}  `),
    "",
  ].join("\n");
}

/** Three figures that count, and no more digits than that. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
