/**
 * Who a client certificate says that its bearer is, and whether the cluster's authority stands behind it.
 *
 * As the API server reads it: the user is the subject's common name, the groups are its organizations. Pure; that the bearer
 * has the certificate's key is the handshake's to prove.
 */
import type { X509Certificate } from "node:crypto";

/** A user, or why there is none. */
export type CertificateReading =
  | {
      readonly kind: "User";
      readonly name: string;
      readonly groups: readonly string[];
      readonly validToMs: number;
    }
  | { readonly kind: "Refused"; readonly reason: string };

/** What the reading depends on. */
export interface CertificateFacts {
  readonly certificate: X509Certificate;
  readonly authorities: readonly X509Certificate[];
  readonly nowMs: number;
}

/** OIDs of "client authentication" and of "any purpose". */
const CLIENT_PURPOSES: readonly string[] = ["1.3.6.1.5.5.7.3.2", "2.5.29.37.0"];
const AUTHENTICATED = "system:authenticated";

/** Reads it. */
export function readCertificateUser(facts: CertificateFacts): CertificateReading {
  const { certificate, nowMs } = facts;
  const { keyUsage: purposes } = certificate as { readonly keyUsage?: readonly string[] };
  if (!isValid(certificate, nowMs)) return refused("it has run out, or is not valid yet");
  if (purposes !== undefined && !purposes.some((purpose) => CLIENT_PURPOSES.includes(purpose))) {
    return refused("it is not made for clients");
  }
  if (!isTrusted(facts)) return refused("no certificate of the cluster's client authority signed it itself");
  const { CN: name, O: organizations } = subjectOf(certificate);
  // Of two names nobody could say which one counts.
  if (typeof name !== "string" || name === "") return refused("its subject has no single common name");
  const groups = [organizations ?? []].flat().filter((group) => group !== "");
  return {
    kind: "User",
    name,
    groups: groups.includes(AUTHENTICATED) ? groups : [...groups, AUTHENTICATED],
    validToMs: Date.parse(certificate.validTo),
  };
}

/**
 * Whether an authority signed it itself. An intermediate counts where the cluster lists it as an authority; one that the bearer
 * sends along does not, since Node does not tell a server what was sent.
 */
function isTrusted({ certificate, authorities, nowMs }: CertificateFacts): boolean {
  return authorities.some(
    (issuer) =>
      issuer.ca &&
      isValid(issuer, nowMs) &&
      certificate.checkIssued(issuer) &&
      certificate.verify(issuer.publicKey),
  );
}

function isValid(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs < Date.parse(certificate.validTo);
}

function refused(reason: string): CertificateReading {
  return { kind: "Refused", reason };
}

interface SubjectFields {
  readonly CN?: string | readonly string[];
  readonly O?: string | readonly string[];
}

function subjectOf(certificate: X509Certificate): SubjectFields {
  return certificate.toLegacyObject().subject;
}
