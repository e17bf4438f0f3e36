/**
 * The operator's own way into one Store's database: credentials from Secrets, tried before they are used, and looked at again
 * and again.
 *
 * Promises: new credentials replace the ones in use only once they were tried; after an outage the server is looked at from all
 * sides again, for it may be another one; each look ends within its time limits.
 */
import { Session, withPooled } from "@memflow/engine/provision";
import type { ConnectionSource, DatabaseFacts } from "@memflow/engine/provision";
import type { StoreSpec } from "@memflow/crds";
import type { Clock } from "../kube/index.ts";
import type { ConnectionObservation } from "./core/store-observation.ts";
import { fingerprintOf, sourceOf } from "./database-source.ts";
import type { DatabaseAccess } from "./database-source.ts";
import { CONNECT_TIMEOUT_MS, inspectAccess, probe } from "./probe-database.ts";
import type { Disconnection, ProbeAnswer } from "./probe-database.ts";
import { readConnection } from "./read-connection.ts";
import type { SecretPlace } from "./read-connection.ts";

/** Credentials that were tried. */
export interface Link {
  readonly access: DatabaseAccess;
  readonly source: ConnectionSource;
  readonly session: Session;
  readonly facts: DatabaseFacts;
  /** Of credentials and target. */
  readonly fingerprint: string;
}

/** What one look found. */
export type LinkLook =
  | { readonly connection: Disconnection; readonly link?: undefined; readonly answer?: undefined }
  | {
      readonly connection: Extract<ConnectionObservation, { readonly kind: "Reachable" }>;
      readonly link: Link;
      readonly answer: ProbeAnswer;
    };

/** A connection that ended is opened again at once; one that hangs has used up the time for that. */
const QUICK_MS = 2_000;

/** @see LinkLook */
export class StoreLink {
  readonly #clock: Clock;
  #link: Link | undefined;
  #isHealthy = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The credentials that were tried last with success; they may not be the newest. */
  get current(): Link | undefined {
    return this.#link;
  }

  /**
   * Looks now.
   *
   * @param roleNamesIn - The roles to look at in a database.
   */
  async look(
    spec: StoreSpec,
    place: SecretPlace,
    roleNamesIn: (database: string) => readonly string[],
  ): Promise<LinkLook> {
    const reading = await readConnection(spec, place);
    if (reading.kind !== "Read") return { connection: reading };
    const access = reading.value;
    const startedMs = this.#clock.steadyMs();
    const first = await this.#lookAt(access, spec.schema, roleNamesIn);
    if (first.link !== undefined) return first;
    // What is known of a Secret may be older than the server's refusal.
    if (first.connection.loginRefused === true) place.secrets.forget();
    const isQuick = this.#clock.steadyMs() - startedMs < QUICK_MS;
    return this.#link !== undefined && isQuick ? this.#lookAt(access, spec.schema, roleNamesIn) : first;
  }

  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.session.close();
  }

  async #lookAt(
    access: DatabaseAccess,
    schema: string,
    roleNamesIn: (database: string) => readonly string[],
  ): Promise<LinkLook> {
    const link = await this.#ensure(access);
    if ("kind" in link) return { connection: link };
    const { session, source } = link;
    const roleNames = roleNamesIn(access.credentials.database);
    const result = await probe({ session, source, schema, roleNames });
    this.#isHealthy = result.kind === "Answered";
    if (result.kind !== "Answered") return { connection: result };
    const { answer } = result;
    const message = `database ${source.describe()}, Postgres ${answer.serverVersion}`;
    return { connection: { kind: "Reachable", message }, link, answer };
  }

  /** The link for an access: the one in use, or a new one that was tried. */
  async #ensure(access: DatabaseAccess): Promise<Link | Disconnection> {
    const fingerprint = fingerprintOf(access);
    const before = this.#link;
    if (before?.fingerprint === fingerprint && this.#isHealthy) return before;
    const plain = sourceOf(access);
    const inspected = await inspectAccess(plain);
    if (inspected.kind !== "Inspected") return inspected;
    const { facts } = inspected;
    if (before?.fingerprint === fingerprint && before.facts.pooled === facts.pooled) return before;
    const source = withPooled(plain, facts.pooled === "transaction");
    const session = new Session({ source, purpose: "store", connectTimeoutMs: CONNECT_TIMEOUT_MS });
    this.#link = { access, source, session, facts, fingerprint };
    await before?.session.close();
    return this.#link;
  }
}
