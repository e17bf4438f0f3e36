/**
 * What a cluster for tests is, and who makes one.
 *
 * A provider says why it can't run here, builds what it needs once, and starts clusters that end with the process that
 * asked for them. Scenarios know this interface alone, so that each runs on every provider.
 */

/** `node`: runs pods. `control-plane`: keeps objects, runs nothing, starts in seconds. `fake-nodes`: pods only seem to run. */
export type ClusterForm = "node" | "control-plane" | "fake-nodes";

/** What to start. */
export interface StartOptions {
  /** Default `node`. */
  readonly form?: ClusterForm;
  /** For the form `fake-nodes` (default 10); each takes 250 pods. */
  readonly fakeNodeCount?: number;
}

/** Makes clusters. */
export interface ClusterProvider {
  readonly name: string;
  /** Forms that it can start. */
  readonly forms: readonly ClusterForm[];
  /** Why it can't run on this machine, each with its remedy; empty when it can. Starts and changes nothing. */
  missing(): Promise<readonly string[]>;
  /** Whether `start` would find all that it builds in the cache. */
  isPrepared(): Promise<boolean>;
  /** Installs and builds what is not in the cache; after that `start` needs no network. */
  prepare(): Promise<void>;
  start(options?: StartOptions): Promise<Cluster>;
}

/** What another process needs to use a running cluster. */
export interface ClusterDescription {
  readonly provider: string;
  readonly form: ClusterForm;
  readonly kubeconfig: string;
  /** The kubectl that fits the server. */
  readonly kubectlProgram: string;
  readonly nodes: readonly string[];
  /** How images get into it: what the provider's own way to load needs. */
  readonly loader: Readonly<Record<string, string>>;
  /** Whether this machine reaches the addresses of pods and Services. */
  readonly podsReachable: boolean;
}

/** A running cluster. */
export interface Cluster extends ClusterDescription {
  /** Loads image archives (`docker save`), after which pods use them with `imagePullPolicy: Never` or `IfNotPresent`. */
  loadImages(archives: readonly string[]): Promise<void>;
  /** Runs kubectl on it and gives its output. `input` becomes its standard input. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Ends it and removes every trace. */
  stop(): Promise<void>;
}
