/** What is wrong with a set of manifests: all of it at once, each with its place. */

/** One fault and where it stands. */
export interface ManifestProblem {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Path and reason: `spec.scaling.maxReplicas: got 0, must be >= 1`. */
  readonly message: string;
}

/** The manifests can't be used. Nothing was applied. */
export class ManifestError extends Error {
  readonly code = "MANIFEST_INVALID";
  readonly problems: readonly ManifestProblem[];

  constructor(problems: readonly ManifestProblem[]) {
    super(problems.map((problem) => `${problem.file}:${problem.line}: ${problem.message}`).join("\n"));
    this.name = "ManifestError";
    this.problems = problems;
  }
}
