/**
 * A program for tests: starts the embedded Postgres of the folder that its argument names, prints one JSON line, and
 * holds it until it is killed, or until its standard input ends: then it exits without stopping the server.
 */
import { startEmbeddedPostgres } from "../embedded-postgres.ts";

const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error("usage: hold-embedded-postgres.ts DATA_DIR");
const server = await startEmbeddedPostgres({ dataDir });
console.log(JSON.stringify({ url: server.url, pid: server.pid, adopted: server.adopted }));
process.stdin.resume();
process.stdin.once("end", () => process.exit(0));
