/**
 * Reads the Secrets that one Store refers to, by name, and no oftener than they may have changed.
 *
 * Promises that a change is seen as soon as the metadata of Secrets shows it, or after the resync where they may not be
 * followed; that a Secret that may not be read is told apart from one that is not there. Keeps no Secret longer than its Store.
 */
import { ForbiddenError, keyOf, SECRETS } from "../kube/index.ts";
import type { Clock, FollowedObjects, KubeClient, KubeObject, ObjectName, Secret } from "../kube/index.ts";

/** A Secret, or why there is none. */
export type SecretReading =
  | { readonly kind: "Read"; readonly secret: Secret; readonly data: Readonly<Record<string, string>> }
  | { readonly kind: "Missing"; readonly message: string };

export interface SecretReaderOptions {
  /** Metadata of all Secrets; undefined where they may not be listed. */
  readonly followed: FollowedObjects<KubeObject> | undefined;
  readonly clock: Clock;
  readonly resyncMs: number;
}

interface Known {
  readonly reading: SecretReading;
  readonly readMs: number;
}

/** @see SecretReaderOptions */
export class SecretReader {
  readonly #options: SecretReaderOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: SecretReaderOptions) {
    this.#options = options;
  }

  /** Whether a change of this Secret concerns the Store. */
  hasRead(key: string): boolean {
    return this.#known.has(key);
  }

  /** Reads all anew when they are asked for next: something suggests that what is known is not true. */
  forget(): void {
    for (const [key, known] of this.#known)
      this.#known.set(key, { ...known, readMs: Number.NEGATIVE_INFINITY });
  }

  /** What was just written. */
  keep(secret: Secret): void {
    const { name = "", namespace } = secret.metadata ?? {};
    this.#remember(keyOf({ name, namespace }), readingOf(secret));
  }

  async read(client: KubeClient, name: ObjectName, signal: AbortSignal): Promise<SecretReading> {
    const key = keyOf(name);
    const known = this.#known.get(key);
    if (known !== undefined && this.#isFresh(key, known)) return known.reading;
    const reading = await readNow(client, name, signal);
    this.#remember(key, reading);
    return reading;
  }

  #remember(key: string, reading: SecretReading): void {
    this.#known.set(key, { reading, readMs: this.#options.clock.steadyMs() });
  }

  #isFresh(key: string, { reading, readMs }: Known): boolean {
    const { followed, clock, resyncMs } = this.#options;
    if (readMs === Number.NEGATIVE_INFINITY) return false;
    if (followed === undefined) return clock.steadyMs() - readMs < resyncMs;
    const version = reading.kind === "Read" ? reading.secret.metadata?.resourceVersion : undefined;
    return followed.store.get(key)?.metadata?.resourceVersion === version;
  }
}

async function readNow(client: KubeClient, name: ObjectName, signal: AbortSignal): Promise<SecretReading> {
  try {
    const secret = await client.find(SECRETS, name, { signal });
    if (secret !== undefined) return readingOf(secret);
    return { kind: "Missing", message: `Secret "${name.name}" is not there: create it` };
  } catch (error) {
    if (!(error instanceof ForbiddenError)) throw error;
    const message = `the operator may not read Secret "${name.name}": grant it "get" on secrets in this namespace`;
    return { kind: "Missing", message };
  }
}

function readingOf(secret: Secret): SecretReading {
  const data = Object.entries((secret.data ?? {}) as Readonly<Record<string, string>>).map(
    ([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")] as const,
  );
  return { kind: "Read", secret, data: Object.fromEntries(data) };
}
