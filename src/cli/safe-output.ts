import { printable, type Terminal } from "./print.ts";

/** Takes what a job printed, in pieces that may begin and end anywhere. */
export interface OutputPrinter {
  readonly write: (bytes: Uint8Array) => void;
  /** To be called behind the last piece. */
  readonly end: () => void;
}

/** Line ends, tabs and what only colours text. A lone carriage return is how progress is drawn. */
const harmless = /(\x1b\[[\d;:]{0,60}m|[\t\n\r])/u;
/** What may go on as a colour in the next piece. */
const begun = /\x1b(?:\[[\d;:]{0,60})?$/u;
const resetColours = "\x1b[0m";

/**
 * Passes on the output of a job: as it came where it goes into a pipe or a file, or where somebody asks for that. A terminal would obey
 * what a job, or whoever it read from, put there: it can be made to change its title, to answer as if somebody typed, or to hide what
 * it shows. It is shown such characters as `\x1b`, and keeps colours if it has any.
 */
export function createOutputPrinter(terminal: Terminal, isRaw: boolean): OutputPrinter {
  if (isRaw || !terminal.isTerminal) return { write: (bytes) => terminal.out(bytes), end: () => undefined };
  const decoder = new TextDecoder();
  let held = "";
  let isColoured = false;

  function show(text: string): void {
    const parts = text.split(harmless).map((part, index) => {
      if (index % 2 === 0) return printable(part);
      if (!part.startsWith("\x1b")) return part;
      if (!terminal.hasColour) return "";
      isColoured = true;
      return part;
    });
    terminal.out(parts.join(""));
  }

  return {
    write(bytes) {
      const text = held + decoder.decode(bytes, { stream: true });
      held = begun.exec(text)?.[0] ?? "";
      show(text.slice(0, text.length - held.length));
    },
    end() {
      show(held + decoder.decode());
      held = "";
      if (isColoured) terminal.out(resetColours);
    },
  };
}
