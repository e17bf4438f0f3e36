/** The options that every command has, named as kubectl names them. */

/** @see addGlobalOptions */
export interface GlobalOptions {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
  readonly store?: string;
  readonly server?: string;
  readonly tokenFile?: string;
  readonly certificateAuthority?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly gatewayNamespace?: string;
  readonly output?: string;
  /** False with `--no-headers`. */
  readonly headers: boolean;
}

/** Commander's command, as much as is needed of it. */
interface Options<Self> {
  option(flags: string, description: string): Self;
  option(
    flags: string,
    description: string,
    collect: (value: string, before: readonly string[] | undefined) => readonly string[],
  ): Self;
}

/** Adds them; they may stand before and behind the command's name. */
export function addGlobalOptions<Self extends Options<Self>>(command: Self): Self {
  return command
    .option("-n, --namespace <name>", "Kubernetes namespace (default: the context's)")
    .option("--store <name>", "Store, where the Kubernetes namespace has several")
    .option("-o, --output <form>", "table, wide, json, yaml, name or jsonpath='{...}'")
    .option("--no-headers", "tables without headings")
    .option("--kubeconfig <file>", "kubeconfig (default: as kubectl finds it)")
    .option("--context <name>", "context of the kubeconfig")
    .option("--as <user>", "act as this user, if you may impersonate it")
    .option("--as-group <group>", "act as a member of this group; may be repeated", collect)
    .option("--gateway-namespace <name>", "Kubernetes namespace of the gateway (default: memflow)")
    .option("--server <url>", "a gateway's address, in place of a cluster")
    .option("--token-file <file>", "with --server: file with a token or key")
    .option("--certificate-authority <file>", "with --server: who vouches for it (default: the system's)")
    .option("--client-certificate <file>", "with --server: your certificate")
    .option("--client-key <file>", "with --server: its key");
}

/** Gathers an option that may be repeated. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
