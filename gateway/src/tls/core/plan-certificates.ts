/**
 * What has to be done about the gateway's own certificates. Pure.
 *
 * An authority that ends is replaced in two steps: the next one is published first, and signs once everybody who reads the
 * ConfigMap has had time to; the one before stays published until it ends. So nobody ever meets a certificate whose
 * authority they can't know.
 */

/** When a certificate begins and ends. */
export interface CertificateDates {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What there is, and what it says. */
export interface CertificateObservation {
  readonly nowMs: number;
  /** Undefined: there is none that could be used, or it is not signed by the authority. */
  readonly server: (CertificateDates & { readonly hasAllNames: boolean }) | undefined;
  readonly authority: CertificateDates | undefined;
  readonly next: CertificateDates | undefined;
}

export type CertificatePlan =
  | "Keep"
  | "MakeAll"
  | "RenewServer"
  | "AddNextAuthority"
  | "PromoteNextAuthority";

const DAY_MS = 86_400_000;
export const SERVER_LIFE_MS: number = 90 * DAY_MS;
export const AUTHORITY_LIFE_MS: number = 5 * 365 * DAY_MS;
/** With so much left of its life a server's certificate is made anew: a month in which that may fail. */
const SERVER_LEFT_SHARE_MIN = 1 / 3;
/** The authority's successor comes so long before its end. */
const AUTHORITY_LEFT_MS_MIN = 365 * DAY_MS;
/** For which the next authority is published before it signs. */
const SETTLE_MS = DAY_MS;
/** Clocks of others may be behind ours. */
export const BACKDATE_MS = 3_600_000;

/** Decides; one step at a time. */
export function planCertificates({
  nowMs,
  server,
  authority,
  next,
}: CertificateObservation): CertificatePlan {
  if (authority === undefined || nowMs >= authority.toMs) return "MakeAll";
  if (next !== undefined && nowMs - next.fromMs - BACKDATE_MS >= SETTLE_MS) return "PromoteNextAuthority";
  if (server === undefined || !server.hasAllNames || isAlmostOver(server, nowMs)) return "RenewServer";
  if (next === undefined && authority.toMs - nowMs < AUTHORITY_LEFT_MS_MIN) return "AddNextAuthority";
  return "Keep";
}

function isAlmostOver({ fromMs, toMs }: CertificateDates, nowMs: number): boolean {
  return toMs - nowMs < (toMs - fromMs) * SERVER_LEFT_SHARE_MIN;
}
