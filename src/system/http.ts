/**
 * Node's `http`, taken without an import: an import reads every export once, and behind one of them Node loads a whole web client,
 * which costs each start of this program 40 ms.
 */
export const http: typeof import("node:http") = process.getBuiltinModule("node:http");
