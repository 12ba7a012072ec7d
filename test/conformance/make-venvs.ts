/** Makes the environments with real Hermes ahead of the tests that need them: most of that is waiting for PyPI. */
import { hermesPython, releases } from "./releases.ts";

for (const release of Object.values(releases)) await hermesPython(release);
