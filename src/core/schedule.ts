/** The rule of a job, as `jobs.json` stores it. Lengths are minutes because Hermes stores minutes. */
export type Schedule =
  | { readonly kind: "cron"; readonly expression: string }
  | { readonly kind: "interval"; readonly minutes: number }
  /** `runAtMs` is null when the stored text is no time. */
  | { readonly kind: "once"; readonly runAtMs: number | null };
