import { jobsPerCut, type Work } from "../core/work.ts";

/** A reader is sent so much at once. */
const chunkChars = 64 * 1024;

/**
 * The JSON document of these lists, in parts that are written one by one: printing ten thousand jobs takes long. With `before` and `after`
 * it is a piece of a larger document.
 */
export function* printLists(
  lists: Readonly<Record<string, Iterable<unknown>>>,
  before = "{",
  after = "}\n",
): Work<readonly Uint8Array[]> {
  const parts: Uint8Array[] = [];
  let text = before;
  let count = 0;
  for (const [index, [name, items]] of Object.entries(lists).entries()) {
    text += `${index === 0 ? "" : ","}${JSON.stringify(name)}:[`;
    let isFirst = true;
    for (const item of items) {
      text += isFirst ? JSON.stringify(item) : `,${JSON.stringify(item)}`;
      isFirst = false;
      count += 1;
      if (text.length >= chunkChars) {
        parts.push(Buffer.from(text));
        text = "";
      }
      if (count % jobsPerCut === 0) yield;
    }
    text += "]";
  }
  parts.push(Buffer.from(`${text}${after}`));
  return parts;
}
