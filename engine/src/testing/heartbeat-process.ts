/**
 * A process of its own with a heartbeat, whose main loop a test can block: `node heartbeat-process.ts JSON`.
 *
 * Promises to print a line `blocking` right before its main loop stands still, and `free` after it turns again. Its code
 * is that of one owner, reached through an await, as most user code is.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { existsSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { startHeartbeat } from "../guards/heartbeat/heartbeat.ts";
import type { CodeOwner, HeartbeatOptions } from "../guards/heartbeat/heartbeat.ts";

/** What the test tells this process. */
export interface HeartbeatProcessOptions extends Pick<
  HeartbeatOptions,
  "workerId" | "connection" | "beatSql" | "blameSql" | "beatMs" | "reportMs" | "killMs"
> {
  /** Block for ever, until a file is there, or not at all and end. */
  readonly block: "for-ever" | "until-file" | "not";
  /** For `until-file`. */
  readonly file?: string;
  readonly owner: CodeOwner;
}

const STDOUT_FD = 1;
const [, , text = "{}"] = process.argv;
const options = JSON.parse(text) as HeartbeatProcessOptions;
const storage = new AsyncLocalStorage<CodeOwner>();
// The heartbeat holds no process open: without this one it would end before what the test waits for.
const hold = setInterval(() => undefined, 60_000);

const heartbeat = startHeartbeat({
  ...options,
  whose: () => storage.getStore(),
  onBeat: () => {
    if (options.block === "not") clearInterval(hold);
  },
  onMiss: ({ message }) => say(`miss ${message}`),
  onBlocked: ({ owner }) => {
    say(`blocked ${JSON.stringify(owner)}`);
    clearInterval(hold);
    void heartbeat.stop();
  },
  onFailure: (error) => say(`failure ${error.message}`),
});

if (options.block !== "not") {
  await storage.run(options.owner, async () => {
    await delay(1);
    say("blocking");
    while (options.block === "for-ever" || !existsSync(options.file ?? "")) {
      // The blockage is the point.
    }
    say("free");
  });
}

/** Stdout may be a pipe, which a blocked main loop would not flush. */
function say(line: string): void {
  writeSync(STDOUT_FD, `${line}\n`);
}
