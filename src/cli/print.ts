import { escapeControls } from "../core/escape-controls.ts";

export { formatClock, formatDateTime, formatDistance, formatLength, formatWhen } from "../core/time-text.ts";

/** Where a command prints. Made from the real streams in `main.ts`. */
export interface Terminal {
  out(text: string | Uint8Array): void;
  error(text: string): void;
  /** Settles when everything printed so far has been taken, so that much can be printed without being held here. */
  taken(): Promise<void>;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  readonly isErrorTerminal: boolean;
  readonly hasColour: boolean;
  /** Null where lines have no end, as in a pipe. */
  readonly columns: number | null;
  readonly rows: number | null;
}

export type Colour = "red" | "green" | "yellow" | "blue" | "dim" | "bold";

const colourCodes: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [36, 39],
  dim: [2, 22],
  bold: [1, 22],
};

export function paint(terminal: Pick<Terminal, "hasColour">, colour: Colour, text: string): string {
  const [on, off] = colourCodes[colour];
  return terminal.hasColour && text !== "" ? `\x1b[${on}m${text}\x1b[${off}m` : text;
}

const segmenter = new Intl.Segmenter();

// Tags spell what nobody sees, save in the flags that they make.
const hiddenTags = /(?<!\u{1f3f4}[\u{e0020}-\u{e007f}]*)[\u{e0000}-\u{e007f}]/gu;
const obeyed =
  /[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
// Any number of marks may stand on one letter, and would be drawn over the lines around it.
const manyMarks = /(\p{M}{4})\p{M}+/gu;

/**
 * The text with everything made visible that would move the cursor, change colours or turn the direction of writing. Names and
 * messages come from files that others write.
 */
export function printable(text: string): string {
  return text
    .replace(hiddenTags, (tag) => `\\u{${tag.codePointAt(0)?.toString(16)}}`)
    .replace(manyMarks, "$1")
    .replace(obeyed, (character) => {
      const code = character.charCodeAt(0);
      return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
    });
}

const nameColumns = 60;

/** A name in the midst of a line, which somebody may have made ten thousand characters long. */
export function shortName(name: string): string {
  // What is cut off anyway need not be made visible first.
  return clip(printable(name.slice(0, 4 * nameColumns)), nameColumns);
}

/** How many columns a terminal gives the text. Escape sequences of our own colours count nothing. */
export function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text.replace(/\x1b\[\d+m/g, ""))) width += graphemeWidth(segment);
  return width;
}

const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]/u;

function graphemeWidth(grapheme: string): number {
  if (wide.test(grapheme) || /\p{Emoji_Presentation}|\ufe0f/u.test(grapheme)) return 2;
  return /^[\p{M}\p{Cf}]/u.test(grapheme) ? 0 : 1;
}

/** The beginning of the text that fits, with `…` for what is cut off. Only for text without colours. */
export function clip(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const { segment } of segmenter.segment(text)) {
    const more = graphemeWidth(segment);
    if (width + more > columns - 1) break;
    kept += segment;
    width += more;
  }
  return columns < 1 ? "" : `${kept}…`;
}

/** The text with its lines broken between words where they are longer than that, or within a word that is longer than a line. */
export function wrap(text: string, columns: number | null): string {
  if (columns === null) return text;
  return text
    .split("\n")
    .map((line) => (textWidth(line) <= columns ? line : wrapLine(line, columns)))
    .join("\n");
}

function wrapLine(text: string, columns: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((each) => pieces(each, columns))) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (textWidth(longer) <= columns) {
      line = longer;
    } else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line].join("\n");
}

function pieces(word: string, columns: number): readonly string[] {
  if (textWidth(word) <= columns) return [word];
  const found: string[] = [];
  let piece = "";
  for (const part of word.split(/(\x1b\[\d+m)/)) {
    const isColour = part.startsWith("\x1b");
    for (const segment of isColour ? [part] : Array.from(segmenter.segment(part), (each) => each.segment)) {
      if (!isColour && piece !== "" && textWidth(piece) + graphemeWidth(segment) > columns) {
        found.push(piece);
        piece = "";
      }
      piece += segment;
    }
  }
  return [...found, piece];
}

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** Gives way, down to this width, where a line would be longer than the terminal. */
  readonly shrinkTo?: number;
  /** Gives way only after those without this mark: times say little when they are cut. */
  readonly shrinksLast?: boolean;
  /** Keeps the column still in a table that is painted again and again. */
  readonly widthMin?: number;
}

/**
 * A cell may have a colour, which is put on after its width is known, or stand in `painted` with colours of its own, which count
 * where the text need not be cut.
 */
export type Cell =
  | string
  | { readonly text: string; readonly colour: Colour }
  | { readonly text: string; readonly painted: string };

const gap = "  ";

interface ShownCell {
  readonly text: string;
  readonly colour?: Colour;
  readonly painted?: string;
}

/** Where lines have no end a name may be as long as somebody made it, and every row would be padded to it. */
const cellColumnsMax = 200;
const lastCellColumnsMax = 2000;
/** Of a cell that has lines of its own. */
const cellLinesMax = 4;
/** So few columns are cut to nothing but `…` before they fit a narrow terminal; more are told line by line. */
const cutColumnsMax = 2;

/** Lines of aligned columns under their titles, or where a terminal is too narrow for that a line for each cell. Cells are made printable here. */
export function formatTable(
  terminal: Pick<Terminal, "hasColour" | "columns">,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): string {
  const cells = rows.map((row) =>
    row.map((cell, index): ShownCell => {
      const max = index === columns.length - 1 ? lastCellColumnsMax : cellColumnsMax;
      if (typeof cell === "string") return { text: clip(printable(cell), max) };
      return { ...cell, text: clip(printable(cell.text), max) };
    }),
  );
  const widths = columns.map((column, index) =>
    Math.max(column.widthMin ?? 0, textWidth(column.title), ...cells.map((row) => textWidth(row[index]?.text ?? ""))),
  );
  if (terminal.columns !== null && !shrinkToFit(widths, columns, terminal.columns)) {
    if (columns.length > cutColumnsMax) return formatRecords(terminal, columns, cells);
    // A cut line is still better than a broken one.
    shrink(widths, columns, terminal.columns, () => 1);
  }
  const line = (parts: readonly ShownCell[]): string =>
    columns
      .map((column, index) => {
        const part = parts[index] ?? { text: "" };
        const width = widths[index] ?? 0;
        const text = clip(part.text, width);
        const padding = " ".repeat(Math.max(0, width - textWidth(text)));
        const painted = paintCell(terminal, part, text);
        return column.align === "right" ? padding + painted : painted + padding;
      })
      .join(gap)
      .trimEnd();
  return [line(columns.map(({ title }) => ({ text: title, colour: "dim" as const }))), ...cells.map(line)]
    .map((text) => `${text}\n`)
    .join("");
}

function paintCell(terminal: Pick<Terminal, "hasColour">, cell: ShownCell, text: string): string {
  const whole = text === cell.text ? cell.painted : undefined;
  return whole ?? (cell.colour === undefined ? text : paint(terminal, cell.colour, text));
}

function shrinkToFit(widths: number[], columns: readonly Column[], columnsMax: number): boolean {
  const never = Number.POSITIVE_INFINITY;
  return (
    shrink(widths, columns, columnsMax, (column) => (column.shrinksLast ? never : (column.shrinkTo ?? never))) ||
    shrink(widths, columns, columnsMax, (column) => column.shrinkTo ?? never)
  );
}

/** Whether a line then fits. The widest gives way first, so that no column is cut while another of its kind has room to spare. */
function shrink(
  widths: number[],
  columns: readonly Column[],
  columnsMax: number,
  share: (column: Column) => number,
): boolean {
  let excess = widths.reduce((sum, width) => sum + width, 0) + gap.length * (columns.length - 1) - columnsMax;
  while (excess > 0) {
    const widest = columns
      .map((column, index) => ({ index, room: (widths[index] ?? 0) - share(column) }))
      .filter(({ room }) => room > 0)
      .sort((a, b) => (widths[b.index] ?? 0) - (widths[a.index] ?? 0))[0];
    if (widest === undefined) return false;
    widths[widest.index] = (widths[widest.index] ?? 0) - 1;
    excess -= 1;
  }
  return true;
}

/** Each cell that says something on lines of its own, its title before it, and a blank line between the rows. */
function formatRecords(
  terminal: Pick<Terminal, "hasColour" | "columns">,
  columns: readonly Column[],
  rows: readonly (readonly ShownCell[])[],
): string {
  const width = terminal.columns ?? Number.POSITIVE_INFINITY;
  return rows
    .map((row) =>
      columns
        .flatMap(({ title }, index) => {
          const cell = row[index] ?? { text: "" };
          if (cell.text.trim() === "") return [];
          const head = clip(title, Math.max(0, Math.floor(width / 2) - 1));
          const text = clip(cell.text, Math.max(1, width * cellLinesMax - textWidth(head) - 1));
          const [first = "", ...more] = wrap(`${head} ${text}`, terminal.columns).split("\n");
          const beside = first.slice(head.length + 1);
          const lines = [`${paint(terminal, "dim", head)} ${paintCell(terminal, cell, beside)}`.trimEnd()];
          for (const line of more) lines.push(paintCell(terminal, cell, line));
          return lines.map((line) => `${line}\n`);
        })
        .join(""),
    )
    .join("\n");
}

/** The document, with nothing in it that a terminal would obey. */
export function formatJson(value: unknown): string {
  return `${escapeControls(JSON.stringify(value, null, 2))}\n`;
}

/** As `formatJson`, in one line. */
export function formatJsonLine(value: unknown): string {
  return `${escapeControls(JSON.stringify(value))}\n`;
}
