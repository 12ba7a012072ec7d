import { randomBytes, randomUUID } from "node:crypto";

export interface Random {
  /** 32 hexadecimal digits. */
  uuidHex(): string;
  /** `length` characters from `a-z0-9`. */
  token(length: number): string;
  /** From 0, below 1. */
  number(): number;
}

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

export function createRandom(): Random {
  return {
    uuidHex: () => randomUUID().replaceAll("-", ""),
    token: (length) => Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join(""),
    number: () => Math.random(),
  };
}
