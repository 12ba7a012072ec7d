/** The least that a program on this runtime can answer, to measure against. Called as: bare-server.ts <socket> */
import { createServer } from "node:http";

createServer((_, response) => response.end("{}")).listen(process.argv[2]);
