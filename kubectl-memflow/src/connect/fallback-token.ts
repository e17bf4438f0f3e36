/**
 * The last resort of a user who has a client certificate alone, where the gateway can't take any: a token of the service account
 * `memflow-cli`, for ten minutes.
 *
 * It is asked for only when the gateway says that no client certificates are taken, and it is said: what is done then is done as
 * the service account, and its rights count.
 */
import { ForbiddenError, NotFoundError } from "@memflow/operator/kube";
import type { KubeClient } from "@memflow/operator/kube";
import type { CliIo } from "../cli/cli-io.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

const SERVICE_ACCOUNT = "memflow-cli";
/** The least that an API server gives. */
const EXPIRATION_SECONDS = 600;
const UNAUTHENTICATED = 401;
/** What a gateway that takes client certificates says among its challenges. */
const CERTIFICATE_CHALLENGE = /\bcertificate\b/iu;

/** Whether an answer says that nobody was known by it and that certificates are not taken at all. */
export function certificatesAreRefused(answer: Response): boolean {
  if (answer.status !== UNAUTHENTICATED) return false;
  return !CERTIFICATE_CHALLENGE.test(answer.headers.get("www-authenticate") ?? "");
}

/** @throws {CommandError} With exit code 4 when there is no such account or the user may not ask for its token. */
export async function requestFallbackToken(parts: {
  readonly kube: KubeClient;
  readonly gatewayNamespace: string;
  readonly io: CliIo;
}): Promise<string> {
  const { kube, gatewayNamespace: namespace, io } = parts;
  try {
    const token = await kube.requestToken(
      { namespace, name: SERVICE_ACCOUNT },
      { expirationSeconds: EXPIRATION_SECONDS },
    );
    io.stderr.write(
      `this cluster publishes no authority of client certificates: acting as service account "${namespace}/${SERVICE_ACCOUNT}"\n`,
    );
    return token;
  } catch (error) {
    if (!(error instanceof ForbiddenError || error instanceof NotFoundError)) throw error;
    throw new CommandError(
      EXIT_CODES.forbidden,
      "the gateway takes no client certificates of this cluster, and you have no token: " +
        `a token of service account "${namespace}/${SERVICE_ACCOUNT}" can't be had (${error.message})\n` +
        "next: use a kubeconfig with a token, or have a role that may create serviceaccounts/token of it",
      error,
    );
  }
}
