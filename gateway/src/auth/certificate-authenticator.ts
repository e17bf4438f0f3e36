/**
 * Client certificates in TLS: verified at the handshake, and again for each request against the authority as it is then.
 *
 * Promises that a connection outlives neither its certificate nor the authority that signed it: the handshake is a matter of
 * once, and a connection may live for days.
 */
import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "@memflow/operator/kube";
import type { ClientAuthority } from "./client-authority.ts";
import { readCertificateUser } from "./certificate-user.ts";
import type { CertificateReading } from "./certificate-user.ts";
import type { Subject } from "./index.ts";

/** A subject, or why the certificate that was sent makes none. */
export type CertificateIdentity =
  | { readonly kind: "Subject"; readonly subject: Subject }
  | { readonly kind: "Refused"; readonly reason: string }
  /** The connection has no certificate. */
  | { readonly kind: "None" };

interface Known {
  readonly generation: number;
  readonly reading: CertificateReading;
}

/** @see CertificateIdentity */
export class CertificateAuthenticator {
  readonly #authority: ClientAuthority;
  readonly #clock: Pick<Clock, "wallTime">;
  readonly #known = new WeakMap<Socket, Known>();

  constructor(authority: ClientAuthority, clock: Pick<Clock, "wallTime">) {
    this.#authority = authority;
    this.#clock = clock;
  }

  /** Whether any certificate is taken: whether there is an authority of them. */
  get takesAny(): boolean {
    return this.#authority.certificates.length > 0;
  }

  /** Who is at the other end of a connection. */
  identify(socket: Socket): CertificateIdentity {
    if (!(socket instanceof TLSSocket)) return { kind: "None" };
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return { kind: "None" };
    // What OpenSSL judged at the handshake counts as well: it knows rules that are not repeated here.
    if (!socket.authorized) {
      const { authorizationError: reason } = socket as { readonly authorizationError?: unknown };
      return { kind: "Refused", reason: `it was not verified (${String(reason)})` };
    }
    const reading = this.#read(socket, certificate);
    if (reading.kind === "Refused") return reading;
    const { name, groups, validToMs } = reading;
    if (this.#nowMs >= validToMs) return { kind: "Refused", reason: "it has run out" };
    return { kind: "Subject", subject: { name, groups, via: "certificate" } };
  }

  get #nowMs(): number {
    return this.#clock.wallTime().getTime();
  }

  #read(socket: TLSSocket, certificate: X509Certificate): CertificateReading {
    const { generation, certificates: authorities } = this.#authority;
    const known = this.#known.get(socket);
    if (known?.generation === generation) return known.reading;
    const reading = readCertificateUser({ certificate, authorities, nowMs: this.#nowMs });
    this.#known.set(socket, { generation, reading });
    return reading;
  }
}
