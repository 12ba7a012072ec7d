/** What the launchers of one home start with. `id` changes when anything in `variables` does. */
export interface GateEnvironment {
  readonly id: string;
  readonly variables: Readonly<Record<string, string>>;
}
