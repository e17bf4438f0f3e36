/**
 * What the kubeconfig's user shows at the API server, for another server that the cluster vouches for.
 *
 * Promises to keep nothing: a token or certificate of a credential plugin is asked for anew each time, and client-node runs
 * the plugin again once what it gave has run out. No error of it holds a credential.
 */
import type { RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { KubeCredentialsError } from "./errors.ts";

/** A client certificate with its key, both in PEM. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/** A user may have both, one or none. */
export interface UserCredentials {
  readonly token?: string | undefined;
  readonly certificate?: ClientCertificate | undefined;
  /** The kubeconfig's `as`: as whom this user acts. */
  readonly impersonateUser?: string | undefined;
}

const BEARER = /^Bearer (?<token>\S+)$/u;

/**
 * Reads the credentials of the current user.
 *
 * @throws {KubeCredentialsError} When the credential plugin failed or a file is gone.
 */
export async function readUserCredentials(kubeConfig: KubeConfig): Promise<UserCredentials> {
  const options: RequestOptions = {};
  try {
    await kubeConfig.applyToHTTPSOptions(options);
  } catch (cause) {
    throw new KubeCredentialsError("the kubeconfig's user", cause);
  }
  const headers = new Headers(textHeaders(options));
  const token = BEARER.exec(headers.get("authorization") ?? "")?.groups?.["token"];
  const cert = pemOf(options.cert);
  const key = pemOf(options.key);
  return {
    token,
    certificate: cert === undefined || key === undefined ? undefined : { cert, key },
    impersonateUser: headers.get("impersonate-user") ?? undefined,
  };
}

function textHeaders({ headers }: RequestOptions): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]));
}

function pemOf(value: RequestOptions["cert"] | RequestOptions["key"]): string | undefined {
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  return typeof value === "string" ? value : undefined;
}
