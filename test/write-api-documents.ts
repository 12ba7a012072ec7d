/** Writes the files that are generated from the routes of the control API. Run it with node after a change to them. */
import { writeFileSync } from "node:fs";
import { apiDocuments } from "./helpers/api-documents.ts";

for (const [path, content] of apiDocuments()) writeFileSync(new URL(`../${path}`, import.meta.url), content);
