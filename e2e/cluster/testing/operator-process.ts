/**
 * The operator as a process of this machine, to be killed, frozen and watched as no pod can be.
 *
 * It is the program of the image, run from the sources unless another program is given, against the bench's cluster with the
 * rights of its administrator. Each ends with the scenario.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { LEASES } from "@memflow/operator/kube";
import { Bell } from "@memflow/operator/testing";
import type { ScenarioBench } from "./scenario-bench.ts";

/** A line of its log. */
export type OperatorLine = Readonly<Record<string, unknown>> & { readonly message: string };

/** Where it runs: a bench, or whoever has a cluster without one. */
export type OperatorPlace = Pick<ScenarioBench, "namespace" | "afterwards"> & {
  readonly cluster: Pick<ScenarioBench["cluster"], "kubeconfig">;
};

const MAIN = fileURLToPath(new URL("../../../operator/src/main.ts", import.meta.url));
const SOURCES: readonly string[] = ["--conditions", "source", MAIN];

/** One process of the operator. */
export class OperatorProcess {
  readonly lines: OperatorLine[] = [];
  readonly #child: ChildProcess;
  readonly #bell = new Bell();
  readonly #ended: Promise<unknown[]>;

  /**
   * @param environment - Variables `MEMFLOW_OPERATOR_*` besides its namespace and port.
   * @param program - What Node is started with.
   */
  constructor(
    place: OperatorPlace,
    environment: Readonly<Record<string, string>> = {},
    program: readonly string[] = SOURCES,
  ) {
    const { cluster, namespace } = place;
    this.#child = spawn(process.execPath, program, {
      env: {
        PATH: process.env["PATH"] ?? "",
        KUBECONFIG: cluster.kubeconfig,
        // Written by those that end in order, so that later ones start in half the time; it goes with the cluster.
        NODE_COMPILE_CACHE: `${cluster.kubeconfig}.compiled`,
        MEMFLOW_OPERATOR_NAMESPACE: namespace,
        MEMFLOW_OPERATOR_HOST: "127.0.0.1",
        MEMFLOW_OPERATOR_PORT: "0",
        ...environment,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#ended = once(this.#child, "close");
    createInterface({ input: this.#child.stdout ?? process.stdin }).on("line", (line) => {
      this.lines.push(JSON.parse(line) as OperatorLine);
      this.#bell.ring();
    });
    void this.#ended.then(() => this.#bell.ring());
    place.afterwards(async () => {
      this.signal("SIGKILL");
      await this.#ended;
    });
  }

  /**
   * Waits for a line of the log; rejects when the process ends without it.
   *
   * @param after - How many lines before it do not count.
   */
  async line(message: string, after = 0): Promise<OperatorLine> {
    const find = (): OperatorLine | undefined =>
      this.lines.slice(after).find((line) => line.message === message);
    await this.#bell.until(() => find() !== undefined || this.#hasEnded);
    const found = find();
    if (found === undefined) throw new Error(`the operator ended before "${message}": ${this.lastWords}`);
    return found;
  }

  /** Waits for its end: the exit code, or the signal that ended it. */
  async end(): Promise<unknown> {
    const [code, signal] = await this.#ended;
    return code ?? signal;
  }

  /** Of this machine. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Values of its metrics, by name and labels. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const { metrics } = await this.line("listening");
    const response = await fetch(`http://127.0.0.1:${String(metrics)}/metrics`);
    const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  /** It has begun to lead; a process that loses the lease ends or says so. */
  get isLeading(): boolean {
    return this.lines.some(({ message }) => message === "leading");
  }

  get lastWords(): string {
    return JSON.stringify(this.lines.slice(-5));
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

/** Gives the lease of a process back that is known to be dead, so that the next one need not wait for its time to be over. */
export async function releaseLease({ client, namespace }: ScenarioBench, name: string): Promise<void> {
  const body = { spec: { holderIdentity: "" } };
  await client.patch(LEASES, { name, namespace }, { kind: "merge", body }, { fieldManager: "scenario" });
}
