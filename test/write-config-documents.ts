/** Writes the files that are generated from the table of settings. Run it with node after a change to that table. */
import { writeFileSync } from "node:fs";
import { configDocuments } from "./helpers/config-documents.ts";

for (const [path, content] of configDocuments()) writeFileSync(new URL(`../${path}`, import.meta.url), content);
