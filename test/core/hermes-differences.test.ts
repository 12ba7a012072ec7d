import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { differenceList, differenceRules, isReplayed, replay, rulesFor } from "../helpers/hermes-differences.ts";
import { loadVectors, releases } from "../helpers/hermes-vectors.ts";
import type { Difference } from "../helpers/replay-vector.ts";

const { differences, notReplayed } = differenceList;
const sections = ["due", "claim", "mark"] as const;

function describeDifference({ vector, jobId, field, ours, theirs }: Difference): string {
  return `${vector.version} ${vector.id} (${vector.note}) job ${jobId} ${field}: ${String(ours)}, Hermes ${String(theirs)}`;
}

for (const release of releases) {
  for (const section of sections) {
    test(`planTick() and settleJob() answer the ${section} vectors of ${release} alike, or in a listed way`, () => {
      const vectors = loadVectors(release, section).filter((vector) => isReplayed(vector, notReplayed));
      expect(vectors.length).toBeGreaterThan(0);
      const unlisted = vectors
        .flatMap((vector) => replay(section, vector))
        .filter((difference) => rulesFor(difference, differences).length === 0);
      expect(unlisted.map(describeDifference)).toEqual([]);
    });
  }
}

for (const { rule, example } of differences) {
  test(`the listed difference ${rule} is alone in accounting for its example`, () => {
    expect(Object.keys(differenceRules)).toContain(rule);
    const found = replay(example.section, example.vector).map((difference) => rulesFor(difference, differences));
    expect(found.filter((rules) => rules.length === 0)).toEqual([]);
    expect(found).toContainEqual([rule]);
  });
}

test("every rule is listed once", () => {
  expect(differences.map(({ rule }) => rule).toSorted()).toEqual(Object.keys(differenceRules).toSorted());
});

test("docs/hermes.md argues every listed difference and every step that is not replayed", () => {
  const page = readFileSync(new URL("../../docs/hermes.md", import.meta.url), "utf8");
  for (const { rule, why } of differences) expect(page).toContain(`### ${rule}\n\n${why}\n`);
  const section = page.split(/^## /m).find((text) => text.startsWith("Where we differ on purpose\n")) ?? "";
  // One heading more than there are rules: that of the steps that are not replayed.
  expect(section.match(/^### .*/gm)?.length).toBe(differences.length + 1);
  for (const { step, why } of notReplayed) {
    const lines = page.split("\n").filter((line) => line.startsWith(`- \`${step}\``));
    expect(lines.map((line) => line.endsWith(`: ${why}`))).toEqual([true]);
  }
});
