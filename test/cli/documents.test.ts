import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cliDocuments } from "../helpers/cli-documents.ts";

test("docs/cli.md shows every command as it is: node test/write-cli-documents.ts writes it", async () => {
  for (const [path, content] of await cliDocuments()) {
    expect(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")).toBe(content);
  }
});
