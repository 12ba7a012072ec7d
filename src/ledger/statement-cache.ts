import type { DatabaseSync, StatementSync } from "node:sqlite";

/** Prepares each text at its first use: a reader of an older layout has not all tables, and some conditions are put together. */
export function createStatementCache(database: DatabaseSync): (text: string) => StatementSync {
  const statements = new Map<string, StatementSync>();
  return (text) => {
    let statement = statements.get(text);
    if (statement === undefined) {
      statement = database.prepare(text);
      // Microseconds of an instant before 1684 or after 2255, which records can name, are too large for a number.
      statement.setReadBigInts(true);
      statements.set(text, statement);
    }
    return statement;
  };
}
