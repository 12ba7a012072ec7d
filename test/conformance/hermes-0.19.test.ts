import { testRelease } from "./hermes-suite.ts";
import { releases } from "./releases.ts";

testRelease(releases["0.19"]);
