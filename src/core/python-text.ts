// Python's ideas of blanks and digits differ from JavaScript's: `\s` here is what `str.split()` and `str.strip()` take.
const blank = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const leadingBlanks = new RegExp(`^${blank}+`);
const blankRun = new RegExp(`${blank}+`);
const blankCharacter = new RegExp(blank);
/** Longest run of digits that Python's `int()` takes. */
const intDigitsMax = 4300;

/** Python's `str.strip()`. */
export function strip(text: string): string {
  let end = text.length;
  while (end > 0 && blankCharacter.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end).replace(leadingBlanks, "");
}

/** Python's `str.split()`. */
export function splitOnBlanks(text: string): string[] {
  const stripped = strip(text);
  return stripped === "" ? [] : stripped.split(blankRun);
}

/** Whether the text is digits only, of any script: what Python's `^\d+$` matches. */
export function isDigits(text: string): boolean {
  return /^\p{Nd}+$/u.test(text);
}

/** Digits of any script as 0-9, or null where Python's `int()` gives up. */
export function toAsciiDigits(digits: string): string | null {
  if (/^\d+$/.test(digits)) return digits.length > intDigitsMax ? null : digits;
  const characters = [...digits];
  return characters.length > intDigitsMax ? null : characters.map(digitValue).join("");
}

const digitValues = new Map<string, number>();

function digitValue(character: string): number {
  let value = digitValues.get(character);
  if (value === undefined) {
    value = findDigitValue(character.codePointAt(0) ?? 0);
    digitValues.set(character, value);
  }
  return value;
}

// Unicode keeps the ten digits of a script together and in order, so a digit's value is its distance to the run's start.
function findDigitValue(code: number): number {
  // The mathematical digits are five such runs without a gap between them.
  if (code >= 0x1d7ce && code <= 0x1d7ff) return (code - 0x1d7ce) % 10;
  let value = 0;
  while (value < 9 && isDigits(String.fromCodePoint(code - value - 1))) value += 1;
  return value;
}

export function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}

/** The last line that is not blank, stripped. Lines end where Python's `str.splitlines()` ends them. */
export function lastLine(text: string, unless: RegExp = /^$/u): string {
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/u).map(strip);
  return lines.findLast((line) => line !== "" && !unless.test(line)) ?? "";
}
