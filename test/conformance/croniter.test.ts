import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseCronExpression, previousWall } from "../../src/core/cron-expression.ts";
import { createZonedSteps, nextOccurrence } from "../../src/core/next-occurrence.ts";
import { createZone, wallOfInstant } from "../../src/core/zone.ts";
import { generateCronExpression } from "../helpers/generate-cron-expression.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import { venvPython } from "./venv.ts";

const version = "6.0.0";

interface Question {
  readonly expr: string;
  readonly base: number;
  readonly tz: string;
}

/** Instants and wall clocks in whole microseconds. */
type Answer =
  | { readonly refused: string }
  | {
      readonly next: readonly (number | null)[];
      readonly previous: readonly (number | null)[];
      readonly zonedNext: number | null;
      readonly zonedPrevious: number | null;
    };

async function askCroniter(questions: readonly Question[]): Promise<Answer[]> {
  const python = await venvPython(`croniter-${version}`, `croniter==${version}`, "tzdata");
  const script = join(import.meta.dirname, "croniter_answers.py");
  const input = questions.map((question) => JSON.stringify(question)).join("\n");
  const output = execFileSync(python, ["-X", "utf8", script], { input, maxBuffer: 2 ** 28 });
  return output
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function ask({ expr, base, tz }: Question): Answer {
  const zone = createZone(tz, 0);
  let expression: ReturnType<typeof parseCronExpression>;
  try {
    expression = parseCronExpression(expr);
  } catch (error) {
    return { refused: String(error) };
  }
  const micros = (ms: number | null | undefined) => (ms == null ? null : Math.round(ms * 1000));
  const schedule = { kind: "cron", expression: expr } as const;
  return {
    next: chain(3, base, (ms) => nextOccurrence(schedule, ms, zone)).map(micros),
    previous: chain(2, wallOfInstant(base, zone), (ms) => previousWall(expression, ms)).map(micros),
    zonedNext: micros(createZonedSteps(expression, base, zone).next()?.wallMs),
    zonedPrevious: micros(createZonedSteps(expression, base, zone).previous()?.wallMs),
  };
}

/** A step's answers, each the next one's start, up to the first null. */
function chain(times: number, startMs: number, step: (ms: number) => number | null): (number | null)[] {
  const answers: (number | null)[] = [];
  let current: number | null = startMs;
  while (current !== null && answers.length < times) {
    current = step(current);
    answers.push(current);
  }
  return answers;
}

const zones = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"];
/** Clock changes of those zones, to start near; the rest starts anywhere from 1996 to 2033. */
const changes = [
  "2026-03-08T07:00Z",
  "2026-11-01T06:00Z",
  "2026-03-29T01:00Z",
  "2026-10-25T01:00Z",
  "2026-04-04T15:00Z",
];

function generateQuestions(count: number, seed: number): Question[] {
  const random = createSeededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const questions = new Map<string, Question>();
  while (questions.size < count) {
    const expr = generateCronExpression(random);
    const near = Date.parse(pick(changes)) + Math.floor((random() - 0.5) * 5 * 86_400) * 1000;
    const far = 820_454_400_000 + Math.floor(random() * 37 * 31_557_600) * 1000;
    const base = (random() < 0.4 ? near : far) + (random() < 0.3 ? Math.floor(random() * 1000) : 0);
    questions.set(expr, { expr, base, tz: pick(zones) });
  }
  return [...questions.values()];
}

test("cron expressions are refused and answered as croniter 6.0.0 does, 12,000 of them", async () => {
  const questions = generateQuestions(12_000, 20_260_704);
  const theirs = await askCroniter(questions);
  const differences: { question: Question; theirs: Answer | undefined; ours: Answer }[] = [];
  let refused = 0;
  let never = 0;
  for (const [index, question] of questions.entries()) {
    const their = theirs[index];
    const our = ask(question);
    if (their !== undefined && "refused" in their) {
      refused += 1;
      if (!("refused" in our)) differences.push({ question, theirs: their, ours: our });
      continue;
    }
    if (their?.next[0] === null) never += 1;
    if (JSON.stringify(our) !== JSON.stringify(their)) differences.push({ question, theirs: their, ours: our });
  }
  expect(differences.slice(0, 20)).toEqual([]);
  expect(theirs.length).toBe(questions.length);
  // Guards against a generator that asks only one kind of question.
  expect(refused).toBeGreaterThan(2000);
  expect(questions.length - refused).toBeGreaterThan(5000);
  expect(never).toBeGreaterThan(20);
});
