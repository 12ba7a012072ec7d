/** What the launchers of one home start with. `id` changes when anything in `variables` does. */
export interface GateEnvironment {
  readonly id: string;
  readonly variables: Readonly<Record<string, string>>;
  /** By name, keyed with the installation's secret: what a later run is compared by. */
  readonly hashes?: Readonly<Record<string, string>>;
}
