type Random = () => number;

interface FieldShape {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const shapes: readonly FieldShape[] = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: ["l"] },
  { min: 1, max: 12, names: months },
  { min: 0, max: 7, names: weekdays },
  { min: 0, max: 59, names: [] },
  { min: 1970, max: 2099, names: [] },
];
const aliases = ["@midnight", "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually", "@reboot", " @daily"];
const blanks = [" ", "  ", "\t", " \t ", "\u00a0", "\u3000", "\u001c", "\n"];
const strayCharacters = "*/-,?#LlWwRrHh()0123456789 abcxyz.+@\u0663\uff19\ufeff\u0000_%";

/** A cron expression such as people and programs write them, right ones and wrong ones. */
export function generateCronExpression(random: Random): string {
  const roll = random();
  if (roll < 0.01) return pick(random, aliases);
  const text = generateFields(random);
  if (roll < 0.12) return mutate(random, text);
  return roll < 0.2 ? text.toUpperCase() : text;
}

function generateFields(random: Random): string {
  const count = pick(random, [5, 5, 5, 5, 5, 5, 6, 6, 7, random() < 0.2 ? 4 : 5, random() < 0.1 ? 8 : 6]);
  const blank = random() < 0.05 ? pick(random, blanks) : " ";
  // Most expressions leave most fields free, and the year nearly always.
  const starChance = random();
  return Array.from({ length: count }, (_, index) => {
    const shape = shapes[index] ?? { min: 0, max: 59, names: [] };
    if (random() < starChance * (index === 6 ? 0.95 : 0.8)) return "*";
    return generateField(random, shape, index);
  }).join(blank);
}

function generateField(random: Random, shape: FieldShape, index: number): string {
  const roll = random();
  if (roll < 0.015) return "?";
  if (roll < 0.03) return generateRandomField(random, shape);
  const count = roll < 0.75 ? 1 : 1 + Math.floor(random() * 4);
  return Array.from({ length: count }, () => generateItem(random, shape, index)).join(",");
}

function generateItem(random: Random, shape: FieldShape, index: number): string {
  const roll = random();
  const step =
    random() < 0.02 ? pick(random, ["0", "00", "1000", "9".repeat(30)]) : String(1 + Math.floor(random() * 40));
  if (index === 4 && roll < 0.12) return `${generateValue(random, shape)}#${Math.floor(random() * 6.3)}`;
  if (index === 4 && roll < 0.15)
    return `${pick(random, weekdays)}-${pick(random, weekdays)}#${1 + Math.floor(random() * 5)}`;
  if (index === 4 && roll < 0.22) return `L${Math.floor(random() * 8)}`;
  if (index === 2 && roll < 0.1) return "L";
  if (roll < 0.5) return generateValue(random, shape);
  if (roll < 0.6) return `*/${step}`;
  if (roll < 0.67) return `${generateValue(random, shape)}/${step}`;
  if (roll < 0.72) return "*";
  const range = `${generateValue(random, shape)}-${generateValue(random, shape)}`;
  return roll < 0.86 ? range : `${range}/${step}`;
}

function generateValue(random: Random, { min, max, names }: FieldShape): string {
  const roll = random();
  if (names.length > 0 && roll < 0.25) return pick(random, names);
  if (roll < 0.265) return String(pick(random, [min - 1, max + 1, max + 100, 0, 7]));
  if (roll < 0.3) return pick(random, [String(min), String(max)]);
  // Years far from the present are found only by long searches, so most are near.
  const value =
    min === 1970 && random() < 0.8 ? 2020 + Math.floor(random() * 25) : min + Math.floor(random() * (max - min + 1));
  return roll < 0.34 ? `0${value}` : String(value);
}

function generateRandomField(random: Random, { min, max }: FieldShape): string {
  const letter = random() < 0.1 ? "H" : "R";
  const begin = min + Math.floor(random() * (max - min));
  const range = random() < 0.5 ? "" : `(${begin}-${begin + Math.floor(random() * (max - begin + 3))})`;
  const step = random() < 0.5 ? "" : `/${Math.floor(random() * 20)}`;
  return letter + range + step;
}

/** One to three characters put in, taken out or replaced. */
function mutate(random: Random, text: string): string {
  let mutated = text;
  for (let left = 1 + Math.floor(random() * 3); left > 0; left -= 1) {
    const at = Math.floor(random() * (mutated.length + 1));
    const stray = pick(random, [...strayCharacters]);
    const removed = random() < 0.4 ? 0 : 1;
    mutated = mutated.slice(0, at) + (random() < 0.3 ? "" : stray) + mutated.slice(at + removed);
  }
  return mutated;
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}
