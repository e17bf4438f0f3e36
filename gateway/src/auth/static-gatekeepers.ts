/**
 * Who may what without a cluster: whoever has a key of the file, within its rules; or, without any key, whoever is on this
 * machine, everything.
 *
 * Without a cluster nobody can be impersonated: a request that asks for it is refused, and not answered as its own.
 */
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { bearerToken } from "./bearer.ts";
import { isAllowed } from "./core/static-rights.ts";
import { readImpersonation } from "./impersonation.ts";
import { ForbiddenError, UnauthenticatedError } from "./index.ts";
import type { Access, Gatekeeper, Subject } from "./index.ts";
import { findKey } from "./static-keys.ts";
import type { StaticKey } from "./static-keys.ts";

/** By keys. */
export class KeyGatekeeper implements Gatekeeper {
  readonly #keys: () => readonly StaticKey[];
  readonly #nowMs: () => number;

  /**
   * @param keys - Those that count now.
   */
  constructor(keys: () => readonly StaticKey[], nowMs: () => number = Date.now) {
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  async identify(request: IncomingMessage): Promise<Subject> {
    refuseImpersonation(request);
    const token = bearerToken(request);
    if (token === undefined)
      throw new UnauthenticatedError("nobody is known by this request: bring a key as bearer token");
    const key = findKey(this.#keys(), token, this.#nowMs());
    if (key === undefined) {
      throw new UnauthenticatedError("the key is not known, or has run out", {
        challenge: 'Bearer error="invalid_token"',
      });
    }
    return { name: key.name, groups: [], via: "key" };
  }

  async admit(subject: Subject, access: Access): Promise<void> {
    if (!(await this.may(subject, access))) throw new ForbiddenError(subject, access);
  }

  /** By the rules as they are now: those of a key that was taken out of the file are gone. */
  async may(subject: Subject, access: Access): Promise<boolean> {
    const key = this.#keys().find(({ name }) => name === subject.name);
    return subject.via === "key" && key !== undefined && isAllowed(key.rules, access);
  }
}

const LOCAL_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];
/** Of a proxy: who asks is then not on this machine. */
const PROXY_HEADERS: readonly string[] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
const LOOPBACK: Subject = { name: "loopback", groups: [], via: "loopback" };

/**
 * Whoever is on this machine. A page in somebody's browser is not: it is told by a Host that is no name of this machine (a name
 * of its own that resolves to 127.0.0.1), or by an Origin.
 */
export class LoopbackGatekeeper implements Gatekeeper {
  async identify(request: IncomingMessage): Promise<Subject> {
    refuseImpersonation(request);
    const { headersDistinct, socket } = request;
    if (!isLoopback(socket.remoteAddress)) throw notHere("comes from another machine");
    const proxied = PROXY_HEADERS.find((name) => headersDistinct[name] !== undefined);
    if (proxied !== undefined) throw notHere(`was passed on by a proxy (${proxied})`);
    const [host = ""] = headersDistinct["host"] ?? [];
    if (!isLocalName(host))
      throw notHere(`is for host "${host.slice(0, 253)}", which is no name of this machine`);
    const [origin] = headersDistinct["origin"] ?? [];
    if (origin !== undefined && !isSameSite(origin, host)) throw notHere("comes from a page of another site");
    return LOOPBACK;
  }

  async admit(): Promise<void> {
    // Whoever is on the machine could read its database as well.
  }

  async may(): Promise<boolean> {
    return true;
  }
}

function refuseImpersonation(request: IncomingMessage): void {
  if (readImpersonation(request) === undefined) return;
  throw new UnauthenticatedError(
    "without a cluster nobody can be impersonated: leave the headers Impersonate-* out",
  );
}

function notHere(reason: string): UnauthenticatedError {
  return new UnauthenticatedError(`only this machine is answered without keys, and the request ${reason}`);
}

function isLoopback(address = ""): boolean {
  const plain = address.replace(/^::ffff:/u, "");
  return plain === "::1" || (isIPv4(plain) && plain.startsWith("127."));
}

function isLocalName(host: string): boolean {
  return LOCAL_NAMES.includes(host.replace(/:\d{1,5}$/u, "").toLowerCase());
}

/** A page of another port of this machine is another site. */
function isSameSite(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}
