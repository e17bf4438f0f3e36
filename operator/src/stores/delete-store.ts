/**
 * The end of a Store whose schema is to be dropped: the only one that has a finalizer.
 *
 * Promises that no deletion hangs, and that each wait says what it waits for, what helps, and what follows. Queues that still use the Store are waited for `QUEUES_WAIT_MS` at most, a database that
 * is away `DATABASE_WAIT_MS`, both since the deletion; then the finalizer goes, the schema stays, and an Event says so.
 */
import { dateTimeMs } from "@memflow/crds";
import { quoteIdentifier } from "@memflow/engine/provision";
import { disconnectionOf } from "./probe-database.ts";
import { dropStore, ForeignSchemaError } from "./drop-store.ts";
import { roleNames } from "./role-names.ts";
import { describeDenial, isDenial } from "./schema-denial.ts";
import type { StoredStore } from "./store-life.ts";
import type { Link } from "./store-link.ts";

/** As a queue's longest default drain, and some more. */
const QUEUES_WAIT_MS = 900_000;
const DATABASE_WAIT_MS = 60_000;

/** How far the end has come. */
export type DeletionStep =
  | { readonly kind: "Wait"; readonly message: string }
  | { readonly kind: "Dropped"; readonly message: string }
  /** The finalizer goes, the schema stays. */
  | { readonly kind: "Retained"; readonly message: string };

/** What the end depends on. */
export interface DeletionOptions {
  readonly store: StoredStore;
  /** Names of queues that still refer to the Store. */
  readonly queueNames: readonly string[];
  /** Looks at the database; a message when it can't be reached. */
  readonly reach: () => Promise<Link | string>;
  readonly nowMs: number;
}

const NAMES_SHOWN_MAX = 5;

/** Does what can be done now. */
export async function endStore({ store, queueNames, reach, nowMs }: DeletionOptions): Promise<DeletionStep> {
  const { schema } = store.spec;
  const sinceMs = nowMs - (dateTimeMs(store.metadata.deletionTimestamp ?? "") ?? nowMs);
  if (queueNames.length > 0) {
    const names = queueNames.slice(0, NAMES_SHOWN_MAX).join(", ");
    const message = `${queueNames.length} TaskQueues still use the Store: ${names}`;
    return sinceMs < QUEUES_WAIT_MS
      ? { kind: "Wait", message: `${message}; delete them, ${followsAfter("15 minutes")}` }
      : { kind: "Retained", message: `${message}; ${byHand(schema)}` };
  }
  const link = await reach();
  const failure = typeof link === "string" ? link : await drop(store, link);
  if (failure === undefined) return { kind: "Dropped", message: `schema "${schema}" was dropped` };
  if (failure instanceof ForeignSchemaError) return { kind: "Retained", message: failure.message };
  return sinceMs < DATABASE_WAIT_MS
    ? {
        kind: "Wait",
        message: `schema "${schema}" can't be dropped: ${failure}; help the database, ${followsAfter("a minute")}`,
      }
    : { kind: "Retained", message: `${failure}; ${byHand(schema)}` };
}

function followsAfter(limit: string): string {
  return `or set deletionPolicy to Retain; ${limit} after the deletion the Store goes, and the schema stays`;
}

function byHand(schema: string): string {
  return `schema "${schema}" and its roles stay: to drop it, run: drop schema ${quoteIdentifier(schema)} cascade;`;
}

async function drop(store: StoredStore, link: Link): Promise<string | ForeignSchemaError | undefined> {
  const { schema } = store.spec;
  const { database } = link.access.credentials;
  try {
    await dropStore(link.session, schema, roleNames({ database, schema, uid: store.metadata.uid }));
    return undefined;
  } catch (error) {
    if (error instanceof ForeignSchemaError) return error;
    const { message } = disconnectionOf(error, link.source);
    if (!isDenial(error, link.source)) return message;
    return (await describeDenial(link.session, schema, error)) ?? message;
  }
}
