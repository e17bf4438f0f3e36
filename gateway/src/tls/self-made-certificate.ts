/**
 * The gateway's own certificate where nobody gives it one: an authority and what it signs, in one Secret that all gateways share.
 *
 * Promises that of several gateways one makes it and all use it: each change is a write of the state that was read, which the API
 * server takes from one of them alone; who comes second reads what the first one wrote. No lease is needed for that, and
 * none has to be waited for. A Secret of the name that is somebody else's is left alone.
 */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { AlreadyExistsError, ConflictError, SECRETS } from "@memflow/operator/kube";
import type { KubeClient, ObjectName, Secret } from "@memflow/operator/kube";
import {
  AUTHORITY_LIFE_MS,
  BACKDATE_MS,
  planCertificates,
  SERVER_LIFE_MS,
} from "./core/plan-certificates.ts";
import type { CertificateDates, CertificateObservation, CertificatePlan } from "./core/plan-certificates.ts";
import { makeAuthority, makeServerCertificate } from "./make-certificates.ts";
import type { KeyPair, Validity } from "./make-certificates.ts";
import type { ServingCertificate } from "./serving-certificate.ts";

/** Where it is kept, and for what. */
export interface SelfMadeOptions {
  readonly client: KubeClient;
  readonly secret: ObjectName & { readonly namespace: string };
  /** By which the gateway is reached. */
  readonly names: readonly string[];
  readonly nowMs?: () => number;
}

/** The Secret is somebody else's. */
export class ForeignSecretError extends Error {
  readonly code = "FOREIGN_SECRET";

  constructor(name: string) {
    super(
      `Secret "${name}" has no label memflow.io/certificate=self-made: delete it, or give it as the serving certificate`,
    );
    this.name = "ForeignSecretError";
  }
}

/** The Secret's values by their keys. */
type Values = Readonly<Record<string, string>>;

const KEYS = {
  cert: "tls.crt",
  key: "tls.key",
  authority: "ca.crt",
  authorityKey: "ca.key",
  next: "next-ca.crt",
  nextKey: "next-ca.key",
  previous: "previous-ca.crt",
} as const;
/** On what is ours to write: the chart makes the Secret empty with it, so that it goes with the release. */
const OWN_LABELS = { "memflow.io/certificate": "self-made" } as const;
const FIELD_MANAGER = "memflow-gateway";
const ROUNDS_MAX = 10;

/**
 * Reads the certificate, and makes or renews it first where it is time.
 *
 * @throws {ForeignSecretError} {KubeError}
 */
export async function keepSelfMadeCertificate(options: SelfMadeOptions): Promise<ServingCertificate> {
  const { client, secret: name } = options;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const found = await client.find(SECRETS, name);
    if (found !== undefined && !isOurs(found)) throw new ForeignSecretError(name.name);
    const values = valuesOf(found);
    const nowMs = (options.nowMs ?? Date.now)();
    const plan = planCertificates(observe(values, options.names, nowMs));
    if (plan === "Keep") return served(values);
    await write(options, found, await carryOut({ plan, values, names: options.names, nowMs }));
  }
  throw new Error(`Secret "${name.name}" changed ${ROUNDS_MAX} times while it was being written`);
}

/** What clients may trust: the authority, the one after it and the one before it. */
function served(values: Values): ServingCertificate {
  const published = [KEYS.authority, KEYS.next, KEYS.previous].map((key) => values[key] ?? "");
  return { cert: values[KEYS.cert] ?? "", key: values[KEYS.key] ?? "", authority: published.join("") };
}

function observe(values: Values, names: readonly string[], nowMs: number): CertificateObservation {
  const authority = pairOf(values, KEYS.authority, KEYS.authorityKey);
  const server = pairOf(values, KEYS.cert, KEYS.key);
  const next = pairOf(values, KEYS.next, KEYS.nextKey);
  const isSigned = authority !== undefined && server?.verify(authority.publicKey) === true;
  const hasAllNames = server !== undefined && names.every((name) => isNamed(server, name));
  return {
    nowMs,
    authority: authority && datesOf(authority),
    next: next && datesOf(next),
    server: server !== undefined && isSigned ? { ...datesOf(server), hasAllNames } : undefined,
  };
}

interface Step {
  readonly plan: Exclude<CertificatePlan, "Keep">;
  readonly values: Values;
  readonly names: readonly string[];
  readonly nowMs: number;
}

/** The values after a step. */
async function carryOut({ plan, values, names, nowMs }: Step): Promise<Values> {
  const lasting = (lifeMs: number): Validity => ({ fromMs: nowMs - BACKDATE_MS, toMs: nowMs + lifeMs });
  const serverOf = (authority: KeyPair): Promise<KeyPair> =>
    makeServerCertificate(authority, names, lasting(SERVER_LIFE_MS));
  const own = { cert: values[KEYS.authority] ?? "", key: values[KEYS.authorityKey] ?? "" };
  switch (plan) {
    case "MakeAll": {
      const authority = await makeAuthority(lasting(AUTHORITY_LIFE_MS));
      return { ...authorityValues(authority), ...serverValues(await serverOf(authority)) };
    }
    case "RenewServer":
      return { ...values, ...serverValues(await serverOf(own)) };
    case "AddNextAuthority": {
      const next = await makeAuthority(lasting(AUTHORITY_LIFE_MS));
      return { ...values, [KEYS.next]: next.cert, [KEYS.nextKey]: next.key };
    }
    case "PromoteNextAuthority": {
      const next = { cert: values[KEYS.next] ?? "", key: values[KEYS.nextKey] ?? "" };
      const server = await serverOf(next);
      return { ...authorityValues(next), ...serverValues(server), [KEYS.previous]: own.cert };
    }
  }
}

/** Writes what follows from the state that was read, unless another one wrote meanwhile. */
async function write(options: SelfMadeOptions, found: Secret | undefined, values: Values): Promise<void> {
  const { client, secret: name } = options;
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
  );
  try {
    if (found === undefined) {
      const metadata = { ...name, labels: OWN_LABELS };
      await client.create(SECRETS, { metadata, type: "Opaque", data }, { fieldManager: FIELD_MANAGER });
    } else await client.replace(SECRETS, { ...found, data }, { fieldManager: FIELD_MANAGER });
  } catch (error) {
    // Another gateway was first: what it wrote is read next.
    if (!(error instanceof AlreadyExistsError || error instanceof ConflictError)) throw error;
  }
}

function isOurs({ metadata }: Secret): boolean {
  return Object.entries(OWN_LABELS).every(([key, value]) => metadata?.labels?.[key] === value);
}

function valuesOf(secret: Secret | undefined): Values {
  return Object.fromEntries(
    Object.entries(secret?.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString("utf8"),
    ]),
  );
}

/** The certificate of two values; undefined when one lacks, can't be read, or is not the other's. */
function pairOf(values: Values, certKey: string, keyKey: string): X509Certificate | undefined {
  const [cert, key] = [values[certKey], values[keyKey]];
  if (cert === undefined || !(key ?? "").includes("PRIVATE KEY")) return undefined;
  try {
    return new X509Certificate(cert);
  } catch {
    // As good as none: it is made anew.
    return undefined;
  }
}

function datesOf(certificate: X509Certificate): CertificateDates {
  return { fromMs: Date.parse(certificate.validFrom), toMs: Date.parse(certificate.validTo) };
}

function isNamed(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

function authorityValues({ cert, key }: KeyPair): Values {
  return { [KEYS.authority]: cert, [KEYS.authorityKey]: key };
}

function serverValues({ cert, key }: KeyPair): Values {
  return { [KEYS.cert]: cert, [KEYS.key]: key };
}
