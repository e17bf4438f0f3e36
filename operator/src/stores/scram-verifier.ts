/**
 * What Postgres keeps of a password, made here: so the password itself is in no statement, and in no log of statements.
 *
 * @see https://www.postgresql.org/docs/current/catalog-pg-authid.html
 * @see https://www.rfc-editor.org/rfc/rfc5802
 */
import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";

/** As Postgres' own default. */
const ITERATIONS = 4_096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const PASSWORD_BYTES = 24;

/** A password that nobody guesses, of characters that need no escape in a connection string. */
export function makePassword(): string {
  return randomBytes(PASSWORD_BYTES).toString("base64url");
}

/**
 * @param password - Of ASCII characters: others would have to be normalised as SASLprep says.
 * @returns For `create role … password '…'`.
 */
export async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const salted = await promisify(pbkdf2)(password, salt, ITERATIONS, KEY_BYTES, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const storedKey = createHash("sha256").update(clientKey).digest("base64");
  const serverKey = createHmac("sha256", salted).update("Server Key").digest("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
