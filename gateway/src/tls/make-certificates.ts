/**
 * Makes an authority and what it signs: ECDSA on P-256, for the gateway's own serving certificate.
 *
 * Promises keys that never leave what is returned, serial numbers that can't be guessed, and an authority that may sign servers
 * and nothing below it.
 */
import { createHash, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";

/** A certificate and its key, as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** From when until when. */
export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const HASH = "SHA-256";
const SERIAL_BYTES = 16;
const KEY_IDENTIFIER_BYTES = 20;
/** Left out of the names of two authorities they could not be told apart while one follows the other. */
const SUFFIX_BYTES = 4;
const OID = {
  commonName: "2.5.4.3",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  subjectKey: "2.5.29.14",
  authorityKey: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  alternativeNames: "2.5.29.17",
  serverAuthentication: "1.3.6.1.5.5.7.3.1",
} as const;
/** Bits of RFC 5280: certificates and revocation lists; signatures. */
const SIGNS_CERTIFICATES = { byte: 0x06, unusedBits: 1 } as const;
const SIGNS = { byte: 0x80, unusedBits: 7 } as const;
const DNS_NAME = 2;
const IP_ADDRESS = 7;

const engine = new pkijs.CryptoEngine({ name: "node", crypto: webcrypto });

/** Makes an authority that signs itself. */
export async function makeAuthority(validity: Validity): Promise<KeyPair> {
  const name = `MemFlow gateway ${randomBytes(SUFFIX_BYTES).toString("hex")}`;
  const keys = await newKeys();
  const certificate = newCertificate({ subject: name, issuer: name, validity });
  certificate.extensions = [
    extension(
      OID.basicConstraints,
      new pkijs.BasicConstraints({ cA: true, pathLenConstraint: 0 }).toSchema(),
      true,
    ),
    keyUsage(SIGNS_CERTIFICATES),
  ];
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey, engine);
  certificate.extensions.push(...keyIdentifiers(certificate, certificate));
  await certificate.sign(keys.privateKey, HASH, engine);
  return {
    cert: pem("CERTIFICATE", certificate.toSchema(true).toBER()),
    key: await exported(keys.privateKey),
  };
}

/**
 * Makes a server's certificate.
 *
 * @param names - Names and addresses by which it is reached; the first is its subject.
 */
export async function makeServerCertificate(
  authority: KeyPair,
  names: readonly string[],
  validity: Validity,
): Promise<KeyPair> {
  const keys = await newKeys();
  const issuer = pkijs.Certificate.fromBER(bytesOf(authority.cert));
  const certificate = newCertificate({ subject: names[0] ?? "", issuer: issuer.subject, validity });
  const alternatives = new pkijs.GeneralNames({ names: names.map(generalName) });
  certificate.extensions = [
    extension(OID.basicConstraints, new pkijs.BasicConstraints({ cA: false }).toSchema(), true),
    keyUsage(SIGNS),
    extension(
      OID.extendedKeyUsage,
      new pkijs.ExtKeyUsage({ keyPurposes: [OID.serverAuthentication] }).toSchema(),
      false,
    ),
    extension(OID.alternativeNames, alternatives.toSchema(), false),
  ];
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey, engine);
  certificate.extensions.push(...keyIdentifiers(certificate, issuer));
  const signer = await webcrypto.subtle.importKey("pkcs8", bytesOf(authority.key), ALGORITHM, false, [
    "sign",
  ]);
  await certificate.sign(signer, HASH, engine);
  return {
    cert: pem("CERTIFICATE", certificate.toSchema(true).toBER()),
    key: await exported(keys.privateKey),
  };
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function newCertificate(options: {
  readonly subject: string;
  readonly issuer: string | pkijs.RelativeDistinguishedNames;
  readonly validity: Validity;
}): pkijs.Certificate {
  const { subject, issuer, validity } = options;
  const certificate = new pkijs.Certificate();
  certificate.version = 2;
  const serial = randomBytes(SERIAL_BYTES);
  // Positive, and without a leading zero that would have to go.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  certificate.serialNumber = new asn1js.Integer({ valueHex: arrayBufferOf(serial) });
  certificate.subject = named(subject);
  certificate.issuer = typeof issuer === "string" ? named(issuer) : issuer;
  certificate.notBefore.value = new Date(validity.fromMs);
  certificate.notAfter.value = new Date(validity.toMs);
  return certificate;
}

function named(commonName: string): pkijs.RelativeDistinguishedNames {
  const value = new asn1js.Utf8String({ value: commonName });
  return new pkijs.RelativeDistinguishedNames({
    typesAndValues: [new pkijs.AttributeTypeAndValue({ type: OID.commonName, value })],
  });
}

function generalName(name: string): pkijs.GeneralName {
  if (isIP(name) === 0) return new pkijs.GeneralName({ type: DNS_NAME, value: name });
  const valueHex = arrayBufferOf(Buffer.from(addressBytes(name)));
  return new pkijs.GeneralName({ type: IP_ADDRESS, value: new asn1js.OctetString({ valueHex }) });
}

/** Of an IPv6 address only the loopback's is ever named. */
function addressBytes(address: string): readonly number[] {
  if (address === "::1") return [...Array.from({ length: 15 }, () => 0), 1];
  if (isIP(address) === 4) return address.split(".").map(Number);
  throw new TypeError(`address "${address}" can't be put into a certificate: name an IPv4 address or ::1`);
}

function extension(extnID: string, value: { toBER(): ArrayBuffer }, critical: boolean): pkijs.Extension {
  return new pkijs.Extension({ extnID, critical, extnValue: value.toBER() });
}

function keyUsage({
  byte,
  unusedBits,
}: {
  readonly byte: number;
  readonly unusedBits: number;
}): pkijs.Extension {
  const bits = new asn1js.BitString({ valueHex: arrayBufferOf(Buffer.from([byte])), unusedBits });
  return extension(OID.keyUsage, bits, true);
}

/** By which a certificate is told from another one of its name, and finds its issuer among several. */
function keyIdentifiers(
  certificate: pkijs.Certificate,
  issuer: pkijs.Certificate,
): readonly pkijs.Extension[] {
  const authority = new pkijs.AuthorityKeyIdentifier({ keyIdentifier: keyIdentifier(issuer) });
  return [
    extension(OID.subjectKey, keyIdentifier(certificate), false),
    extension(OID.authorityKey, authority.toSchema(), false),
  ];
}

function keyIdentifier({ subjectPublicKeyInfo }: pkijs.Certificate): asn1js.OctetString {
  const info = Buffer.from(subjectPublicKeyInfo.toSchema().toBER());
  const digest = createHash("sha256").update(info).digest().subarray(0, KEY_IDENTIFIER_BYTES);
  return new asn1js.OctetString({ valueHex: arrayBufferOf(digest) });
}

async function exported(key: webcrypto.CryptoKey): Promise<string> {
  return pem("PRIVATE KEY", await webcrypto.subtle.exportKey("pkcs8", key));
}

function pem(label: string, content: ArrayBuffer): string {
  const lines =
    Buffer.from(content)
      .toString("base64")
      .match(/.{1,64}/gu) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function bytesOf(text: string): ArrayBuffer {
  return arrayBufferOf(Buffer.from(text.replaceAll(/-----[^-]+-----|\s/gu, ""), "base64"));
}

function arrayBufferOf(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
