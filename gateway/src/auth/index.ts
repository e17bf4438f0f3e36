/**
 * Who asks and what they may: the interfaces that the HTTP API is written against.
 *
 * A gatekeeper answers for a whole request by two questions: who is it, and may they do this to that object. Whoever can't
 * be told apart or asked about is refused: there is no answer "perhaps".
 */
import type { IncomingMessage } from "node:http";

/** Who asks. */
export interface Subject {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string | undefined;
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
  /** How it was known. */
  readonly via: "token" | "certificate" | "key" | "loopback";
  /** Who acts as this one. */
  readonly impersonatedBy?: string | undefined;
}

/** What rights are asked for, all of the API group memflow.io. */
export type AccessResource = "workflows/runs" | "taskqueues/runs" | "workflows" | "taskqueues" | "schedules";

/** One act on one object, of whichever group. */
export interface AskedAccess {
  readonly verb: string;
  readonly resource: string;
  /** Kubernetes namespace; empty: of the cluster. */
  readonly namespace: string;
  /** Name of the object; left out for all of them. */
  readonly name?: string | undefined;
}

/** One act on one of our objects. */
export interface Access extends AskedAccess {
  readonly resource: AccessResource;
}

/** Tells who asks, and admits or refuses. */
export interface Gatekeeper {
  /**
   * @throws {UnauthenticatedError} When nobody is known by what the request brings; {ForbiddenError} when it may not act as
   *   the one that it names; {UnavailableError} when nobody can be asked now.
   */
  identify(request: IncomingMessage): Promise<Subject>;
  /** @throws {ForbiddenError} When it may not; {UnavailableError} when that can't be found out now. */
  admit(subject: Subject, access: Access): Promise<void>;
  /** @throws {UnavailableError} When that can't be found out now. */
  may(subject: Subject, access: Access): Promise<boolean>;
}

/** One line of the audit log. */
export interface AuditEntry {
  readonly subject: Subject;
  readonly access: AskedAccess;
  readonly runId?: string | undefined;
  readonly workflowId?: string | undefined;
  readonly requestId: string;
  readonly outcome: "allowed" | "denied" | "failed";
  /** Status of the answer. */
  readonly status: number;
}

/** Keeps who did what. */
export interface Audit {
  record(entry: AuditEntry): void;
}

/** Nobody is known by what the request brings. */
export class UnauthenticatedError extends Error {
  override readonly name = "UnauthenticatedError";
  readonly code = "Unauthenticated";
  /** What the answer's header WWW-Authenticate says. */
  readonly challenge: string;

  constructor(message: string, options: { readonly challenge?: string; readonly cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.challenge = options.challenge ?? "Bearer";
  }
}

/** The subject may not do this. */
export class ForbiddenError extends Error {
  override readonly name = "ForbiddenError";
  readonly code = "Forbidden";
  readonly subject: Subject;
  readonly access: AskedAccess;

  constructor(subject: Subject, access: AskedAccess, reason?: string) {
    super(describeRefusal(subject, access) + (reason === undefined || reason === "" ? "" : `: ${reason}`));
    this.subject = subject;
    this.access = access;
  }
}

/** Somebody who has to be asked does not answer now: the caller should come again. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
  readonly code = "Unavailable";
  readonly retryAfterSeconds: number;

  constructor(
    message: string,
    options: { readonly retryAfterSeconds?: number; readonly cause?: unknown } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.retryAfterSeconds = options.retryAfterSeconds ?? 1;
  }
}

/** Resources of ours have the group in their names, as kubectl writes them. */
const OWN_RESOURCE = /^(?:workflows|taskqueues|schedules)(?:\/|$)/u;

function describeRefusal(subject: Subject, { verb, resource, namespace, name }: AskedAccess): string {
  const full = OWN_RESOURCE.test(resource) ? `${resource}.memflow.io` : resource;
  const what = name === undefined ? `all ${full}` : `${full} "${name}"`;
  const by = subject.impersonatedBy === undefined ? "" : ` (as whom "${subject.impersonatedBy}" acts)`;
  const place = namespace === "" ? "" : ` in namespace "${namespace}"`;
  return `user "${subject.name}"${by} may not ${verb} ${what}${place}`;
}
