/** Writes the part of the page on commands that is made from what they print. Run it with node after a change to one of them. */
import { writeFileSync } from "node:fs";
import { cliDocuments } from "./helpers/cli-documents.ts";

for (const [path, content] of await cliDocuments()) writeFileSync(new URL(`../${path}`, import.meta.url), content);
