import { membersOf, outlineDocument, type Span, toValue } from "../../src/core/json-text.ts";

/** What Python's `json.dumps(json.loads(text, strict=False), indent=2)` gives. `ascii` is its `ensure_ascii`. */
export function printAsPython(text: string, ascii: boolean): string {
  return print(text, outlineDocument(text, 0, 0).root, ascii, "\n");
}

function print(text: string, span: Span, ascii: boolean, blank: string): string {
  const inner = `${blank}  `;
  switch (text[span.start]) {
    case "{": {
      // A repeated key keeps its first place and its last value, as in a dict.
      const members = new Map(membersOf(text, span.start).map((member) => [member.key, member]));
      const entries = [...members].map(
        ([key, member]) => `${inner}${printString(key, ascii)}: ${print(text, member, ascii, inner)}`,
      );
      return entries.length === 0 ? "{}" : `{${entries.join(",")}${blank}}`;
    }
    case "[": {
      const items = outlineDocument(text.slice(span.start, span.end), 0, 1).items.get(0) ?? [];
      const entries = items.map((item) => {
        const moved = { start: item.start + span.start, end: item.end + span.start };
        return inner + print(text, moved, ascii, inner);
      });
      return entries.length === 0 ? "[]" : `[${entries.join(",")}${blank}]`;
    }
    case '"':
      return printString(String(toValue(text, span)), ascii);
    default:
      return printScalar(text.slice(span.start, span.end));
  }
}

function printString(value: string, ascii: boolean): string {
  const literal = JSON.stringify(value);
  return ascii
    ? literal.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    : literal;
}

function printScalar(token: string): string {
  if (/^-?\d+$/.test(token)) return token === "-0" ? "0" : token;
  return /^-?\d/.test(token) ? printFloat(Number(token)) : token;
}

/** Python's `repr` of a float: the shortest digits, with an exponent below 1e-4 and from 1e16 on. */
function printFloat(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa = "0", exponentText = "0"] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${digits.slice(0, 1)}${fraction}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.padEnd(exponent + 1, "0");
  return `${sign}${whole.slice(0, exponent + 1)}.${whole.slice(exponent + 1) || "0"}`;
}
