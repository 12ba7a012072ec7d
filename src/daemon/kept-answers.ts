import type { Answer, TextAnswer } from "../status/control-actions.ts";

/** Those who look on ask for the same few things again and again. */
const keptMax = 16;
const keptCharsMax = 128 * 1024;

/** What was made of the ledger, made again only when something was written to it. */
export function keptWhile<Value>(version: () => string, make: () => Value): () => Value {
  let kept: { readonly version: string; readonly value: Value } | null = null;
  return () => {
    const now = version();
    if (kept?.version !== now) kept = { version: now, value: make() };
    return kept.value;
  };
}

/** Answers that were made from the ledger alone, for as long as nothing is written to it. Refusals are not kept. */
export function createKeptAnswers(
  version: () => string,
): (question: string, make: () => Answer) => Answer | TextAnswer {
  const kept = new Map<string, TextAnswer>();
  let keptAt = "";

  return (question, make) => {
    const now = version();
    if (now !== keptAt) kept.clear();
    keptAt = now;
    const known = kept.get(question);
    if (known !== undefined) return known;
    const made = make();
    if (made.status !== 200) return made;
    const answer: TextAnswer = { status: 200, type: "application/json", text: `${JSON.stringify(made.body)}\n` };
    if (answer.text.length <= keptCharsMax) {
      const [oldest] = kept.size >= keptMax ? kept.keys() : [];
      if (oldest !== undefined) kept.delete(oldest);
      kept.set(question, answer);
    }
    return answer;
  };
}
