import { expect, test } from "vitest";
import {
  applyEdit,
  ProviderEditError,
  planProviderEdit,
  readGatewaySettings,
  undoProviderEdit,
} from "../../src/homes/provider-edit.ts";

interface Edited {
  readonly what: string;
  readonly before: string;
  readonly after: string;
}

const edited: readonly Edited[] = [
  { what: "an empty file", before: "", after: "cron:\n  provider: hermes-supervisor\n" },
  {
    what: "a file of comments",
    before: "# nothing yet\n",
    after: "# nothing yet\ncron:\n  provider: hermes-supervisor\n",
  },
  {
    what: "a file without a cron section",
    before: "# mine\nmodel: {default: x} # big\n",
    after: "# mine\nmodel: {default: x} # big\ncron:\n  provider: hermes-supervisor\n",
  },
  {
    what: "a file without a last line end",
    before: "timezone: 'UTC'",
    after: "timezone: 'UTC'\ncron:\n  provider: hermes-supervisor\n",
  },
  {
    what: "a file that ends its document",
    before: "---\ntimezone: UTC\n...\n",
    after: "---\ncron:\n  provider: hermes-supervisor\ntimezone: UTC\n...\n",
  },
  {
    what: "a section with comments",
    before: "a: 1\ncron:   # jobs\n\n  # how many\n  max_parallel_jobs: 4  # four\nb: 2\n",
    after:
      "a: 1\ncron:   # jobs\n  provider: hermes-supervisor\n\n  # how many\n  max_parallel_jobs: 4  # four\nb: 2\n",
  },
  {
    what: "a section that is indented by four",
    before: 'cron:\n    "max_parallel_jobs": 4\n',
    after: 'cron:\n    provider: hermes-supervisor\n    "max_parallel_jobs": 4\n',
  },
  {
    what: "Windows' line ends",
    before: "a: 1\r\ncron:\r\n  output_retention: 5\r\n",
    after: "a: 1\r\ncron:\r\n  provider: hermes-supervisor\r\n  output_retention: 5\r\n",
  },
  { what: "a byte order mark", before: "\uFEFFa: 1\n", after: "\uFEFFa: 1\ncron:\n  provider: hermes-supervisor\n" },
  {
    what: "flow style",
    before: "cron: {max_parallel_jobs: 16}\n",
    after: "cron: {provider: hermes-supervisor, max_parallel_jobs: 16}\n",
  },
  { what: "an empty flow section", before: "cron: {}\n", after: "cron: {provider: hermes-supervisor}\n" },
  { what: "a file in flow style", before: "{a: 1}\n", after: "{cron: {provider: hermes-supervisor}, a: 1}\n" },
  { what: "an empty flow file", before: "{ }\n", after: "{cron: {provider: hermes-supervisor} }\n" },
  {
    what: "a section that is left empty",
    before: "cron:\nb: 2\n",
    after: "cron: {provider: hermes-supervisor}\nb: 2\n",
  },
  { what: "a section that is null", before: "cron: ~ # off\n", after: "cron: {provider: hermes-supervisor} # off\n" },
  {
    what: "a provider that is left empty",
    before: "cron:\n  provider:\n  x: 1\n",
    after: "cron:\n  provider: hermes-supervisor\n  x: 1\n",
  },
  {
    what: "Hermes' own provider by name",
    before: "cron:\n  provider: 'builtin' # own\n",
    after: "cron:\n  provider: hermes-supervisor # own\n",
  },
  {
    what: "anchors and merges",
    before: "base: &base {output_retention: 5}\ncron:\n  <<: *base\n  wrap_response: no\n",
    after:
      "base: &base {output_retention: 5}\ncron:\n  provider: hermes-supervisor\n  <<: *base\n  wrap_response: no\n",
  },
  {
    what: "a block text at the end",
    before: "note: |+\n  a\n\n",
    after: "note: |+\n  a\n\ncron:\n  provider: hermes-supervisor\n",
  },
];

test.each(edited)(
  "planProviderEdit() changes one place in $what, and undoProviderEdit() puts it back",
  ({ before, after }) => {
    const edit = planProviderEdit(before);
    if (edit === null) throw new Error("Nothing is planned");
    expect(applyEdit(before, edit)).toBe(after);
    expect(planProviderEdit(after)).toBeNull();
    expect(undoProviderEdit(after, edit)).toBe(before);
    // What is written beside the state is read again from JSON.
    expect(undoProviderEdit(after, JSON.parse(JSON.stringify(edit)))).toBe(before);
  },
);

const refused: readonly { readonly text: string; readonly message: string }[] = [
  {
    text: "cron: {provider: chronos}\n",
    message:
      'cron.provider is "chronos", expected none: its jobs would fire twice or never. Remove that line, if it is no longer wanted, and attach again',
  },
  {
    text: "base: &b {provider: chronos}\ncron:\n  <<: *b\n",
    message:
      'cron.provider is "chronos", expected none: its jobs would fire twice or never. Remove that line, if it is no longer wanted, and attach again',
  },
  {
    text: "other: &x {a: 1}\ncron: *x\n",
    message:
      'no place was found where cron.provider could be set without changing anything else, expected a plain "cron:" section. Set "provider: hermes-supervisor" there by hand and attach again',
  },
  {
    text: "cron: &x\n  a: 1\nother: *x\n",
    message:
      'no place was found where cron.provider could be set without changing anything else, expected a plain "cron:" section. Set "provider: hermes-supervisor" there by hand and attach again',
  },
  {
    text: "a: 1\ncron: [\n",
    message:
      "it is not valid YAML at line 3, column 1: flow sequence in block collection must be sufficiently indented and end with a ]. Mend it first",
  },
  { text: "a: 1\na: 2\n", message: "it is not valid YAML at line 2, column 1: map keys must be unique. Mend it first" },
  { text: "- 1\n", message: "it holds no settings, expected a mapping of names to values" },
];

test.each(refused)("planProviderEdit() refuses $text", ({ text, message }) => {
  expect(() => planProviderEdit(text)).toThrow(new ProviderEditError(message));
});

interface LaterEdit {
  readonly what: string;
  readonly before: string;
  change(attached: string): string;
  readonly after: string | null;
}

const editedLater: readonly LaterEdit[] = [
  {
    what: "other lines were edited",
    before: "a: 1\ncron:\n  x: 1\nb: 2\n",
    change: (text) => `# new\n${text.replace("b: 2", "b: 3")}c: 4\n`,
    after: "# new\na: 1\ncron:\n  x: 1\nb: 3\nc: 4\n",
  },
  {
    what: "our section got more keys",
    before: "a: 1\n",
    change: (text) => `${text}  x: 1\n`,
    after: "a: 1\ncron:\n  x: 1\n",
  },
  {
    what: "our section was moved",
    before: "a: 1\n",
    change: () => "cron:\n    x: 1\n    provider: hermes-supervisor # ours\na: 1\n",
    after: "cron:\n    x: 1\na: 1\n",
  },
  {
    what: "the file was written anew in another style",
    before: "cron:\n  x: 1\n",
    change: () => "cron: {x: 1, provider: hermes-supervisor}\n",
    after: "cron: {x: 1}\n",
  },
  {
    what: "Hermes wrote the file anew",
    before: "cron: {x: 1} # one\n",
    change: () => "cron:\n  provider: hermes-supervisor\n  x: 1\n",
    after: "cron:\n  x: 1\n",
  },
  {
    what: "the old value had a name",
    before: "cron:\n  provider: builtin\n",
    change: (text) => `${text}  y: 2\n`,
    after: "cron:\n  provider: builtin\n  y: 2\n",
  },
  {
    what: "another provider was chosen",
    before: "cron: {}\n",
    change: () => "cron: {provider: chronos}\n",
    after: null,
  },
  { what: "the setting was taken out by hand", before: "a: 1\n", change: () => "a: 1\n", after: null },
];

test.each(editedLater)("undoProviderEdit() takes out our lines alone where $what", ({ before, change, after }) => {
  const edit = planProviderEdit(before);
  if (edit === null) throw new Error("Nothing is planned");
  expect(undoProviderEdit(change(applyEdit(before, edit)), edit)).toBe(after);
});

test("readGatewaySettings() reads YAML as Hermes does, and Hermes' names for its own ticker as none", () => {
  const off = { provider: "", standalone: false, isolatesPlugins: false };
  expect(readGatewaySettings("")).toEqual(off);
  for (const name of ["''", "builtin", "in-process", "inprocess", "~"]) {
    expect(readGatewaySettings(`cron: {provider: ${name}}`)).toEqual(off);
  }
  const text = "cron: {provider: ' chronos '}\ngateway: {standalone: yes}\nplugins: {isolation: host}\n";
  expect(readGatewaySettings(text)).toEqual({ provider: "chronos", standalone: true, isolatesPlugins: true });
});
