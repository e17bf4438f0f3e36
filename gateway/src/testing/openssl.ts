/**
 * Certificates of tests, made by openssl: another program than the one that judges them.
 *
 * Each authority lives in a folder of its own, which goes when the test has finished.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A certificate and its key, as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateWish {
  /** As openssl takes it: `/CN=ada/O=team`. */
  readonly subject: string;
  /** Default `clientAuth`; empty: none. */
  readonly purpose?: string;
  readonly names?: string;
  /** Default: an hour ago to an hour from now. Seconds since then. */
  readonly validFrom?: Date;
  readonly validTo?: Date;
  readonly isAuthority?: boolean;
}

/** Signs certificates. */
export interface TestAuthority {
  readonly cert: string;
  issue(wish: CertificateWish): KeyPair;
  /** One below it, which signs as well. */
  intermediate(subject: string): TestAuthority;
}

const HOUR_MS = 3_600_000;

/** Makes an authority. */
export function makeTestAuthority(subject = "/CN=authority of tests"): TestAuthority {
  const folder = mkdtempSync(join(tmpdir(), "memflow-openssl-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  };
  const newKey = (name: string): void => {
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.key`);
  };
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  newKey("root");
  openssl("req", "-x509", "-new", "-key", "root.key", "-days", "2", "-subj", subject, "-out", "root.crt");
  let count = 0;

  const issueBy = (issuer: string, wish: CertificateWish): string => {
    const name = `c${(count += 1)}`;
    newKey(name);
    openssl("req", "-new", "-key", `${name}.key`, "-subj", wish.subject, "-out", `${name}.csr`);
    writeFileSync(join(folder, `${name}.ext`), extensionsOf(wish));
    // `openssl ca` alone takes both ends of the validity.
    writeFileSync(join(folder, `${name}.db`), "");
    writeFileSync(join(folder, `${name}.cnf`), configOf(name));
    const from = wish.validFrom ?? new Date(Date.now() - HOUR_MS);
    const to = wish.validTo ?? new Date(Date.now() + HOUR_MS);
    const what = ["-batch", "-notext", "-config", `${name}.cnf`, "-extfile", `${name}.ext`];
    const by = ["-cert", `${issuer}.crt`, "-keyfile", `${issuer}.key`];
    const validity = ["-startdate", asn1Time(from), "-enddate", asn1Time(to)];
    openssl("ca", ...what, ...by, ...validity, "-in", `${name}.csr`, "-out", `${name}.crt`);
    return name;
  };
  const authority = (name: string): TestAuthority => ({
    cert: read(`${name}.crt`),
    issue: (wish) => {
      const issued = issueBy(name, wish);
      return { cert: read(`${issued}.crt`), key: read(`${issued}.key`) };
    },
    intermediate: (below) => authority(issueBy(name, { subject: below, purpose: "", isAuthority: true })),
  });
  return authority("root");
}

function extensionsOf({ purpose = "clientAuth", names, isAuthority }: CertificateWish): string {
  return [
    ...(isAuthority === true ? ["basicConstraints=critical,CA:TRUE"] : ["basicConstraints=CA:FALSE"]),
    ...(purpose === "" ? [] : [`extendedKeyUsage=${purpose}`]),
    ...(names === undefined ? [] : [`subjectAltName=${names}`]),
    "",
  ].join("\n");
}

function configOf(name: string): string {
  return `[ca]
default_ca=one
[one]
database=${name}.db
rand_serial=yes
new_certs_dir=.
default_md=sha256
policy=any
[any]
commonName=optional
organizationName=optional
`;
}

/** `20260101120000Z` */
function asn1Time(time: Date): string {
  return `${time.toISOString().replaceAll(/[-:T]/gu, "").slice(0, 14)}Z`;
}
