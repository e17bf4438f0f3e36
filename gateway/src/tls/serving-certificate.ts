/**
 * The certificate that the gateway serves with, looked at now and then.
 *
 * Promises that a new one is served without a restart, to connections that begin from then on; and that while it can't be
 * read, the one before is served.
 */
import { readFile } from "node:fs/promises";
import { errorFields, sleep } from "@memflow/operator/kube";
import type { Clock, Log } from "@memflow/operator/kube";

/** What is served, and what clients may trust. */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
  /** Authorities that clients verify it with, as PEM; undefined: those that their systems know. */
  readonly authority: string | undefined;
}

/** How it is looked at. */
export interface CertificateKeeperOptions {
  readonly load: () => Promise<ServingCertificate>;
  /** Serves with it; called for each that differs from the one before. */
  readonly take: (certificate: ServingCertificate) => void;
  /** Tells clients of it, at each look; where that fails it is served all the same. */
  readonly publish: (certificate: ServingCertificate) => Promise<void>;
  readonly periodMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** After a look that failed. */
const RETRY_MS = 2_000;

/** Looks until the signal aborts; the first that is taken resolves `taken`. */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #taken = Promise.withResolvers<void>();
  #served = "";

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
  }

  /** Resolves once there is one. */
  get taken(): Promise<void> {
    return this.#taken.promise;
  }

  /** Looks for ever. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, periodMs } = this.#options;
    while (!signal.aborted) {
      const isWell = await this.#look();
      await sleep(clock, isWell ? periodMs : Math.min(RETRY_MS, periodMs), signal);
    }
  }

  async #look(): Promise<boolean> {
    const { load, take, log } = this.#options;
    try {
      const certificate = await load();
      const text = JSON.stringify(certificate);
      if (text !== this.#served) {
        take(certificate);
        this.#served = text;
        log("info", "serves with another certificate", {});
      }
      await this.#publish(certificate);
      this.#taken.resolve();
      return true;
    } catch (error) {
      log("error", "the serving certificate can't be had", errorFields(error));
      return false;
    }
  }

  async #publish(certificate: ServingCertificate): Promise<void> {
    const { publish, log } = this.#options;
    try {
      await publish(certificate);
    } catch (error) {
      log("error", "clients can't be told how to verify the gateway", errorFields(error));
    }
  }
}

/** Files of a certificate that somebody gives. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly authorityFile: string | undefined;
}

/** Reads them. */
export async function readCertificateFiles(files: CertificateFiles): Promise<ServingCertificate> {
  const { certFile, keyFile, authorityFile } = files;
  const [cert, key, authority] = await Promise.all([
    readFile(certFile, "utf8"),
    readFile(keyFile, "utf8"),
    authorityFile === undefined ? undefined : readFile(authorityFile, "utf8"),
  ]);
  return { cert, key, authority };
}
