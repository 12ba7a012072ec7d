/** Writes the page that is generated from the tables of states. Run it with node after a change to one of them. */
import { writeFileSync } from "node:fs";
import { stateDocuments } from "./helpers/state-documents.ts";

for (const [path, content] of stateDocuments()) writeFileSync(new URL(`../${path}`, import.meta.url), content);
