import { createRequire } from "node:module";

/**
 * The four parts of prom-client that are used here, taken from its files: its index also loads a cluster, a push gateway and
 * OpenTelemetry, which costs each start of the daemon 150 ms and 20 MB.
 */
type Prometheus = typeof import("prom-client");

const load = createRequire(import.meta.url);

export const Registry: Prometheus["Registry"] = load("prom-client/lib/registry.js");
export const Counter: Prometheus["Counter"] = load("prom-client/lib/counter.js");
export const Gauge: Prometheus["Gauge"] = load("prom-client/lib/gauge.js");
export const Histogram: Prometheus["Histogram"] = load("prom-client/lib/histogram.js");
