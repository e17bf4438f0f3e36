/** Why pods don't run, as far as their status says. */
import type { Pod } from "../../kube/kubernetes-kinds.ts";

/** A pod that needs somebody. */
export interface PodFault {
  readonly reason: "CrashLooping" | "ImagePullFailed" | "ConfigMissing";
  readonly message: string;
}

const REASONS: Readonly<Record<string, PodFault["reason"]>> = {
  CrashLoopBackOff: "CrashLooping",
  RunContainerError: "CrashLooping",
  ImagePullBackOff: "ImagePullFailed",
  ErrImagePull: "ImagePullFailed",
  ErrImageNeverPull: "ImagePullFailed",
  InvalidImageName: "ImagePullFailed",
  CreateContainerConfigError: "ConfigMissing",
};

/** Ends of one container after which it is said to crash again and again, though it runs at this moment. */
const RESTART_COUNT_MIN = 3;

/** @returns The fault of the first pod that has one, by name; pods that are being deleted are not asked. */
export function findPodFault(pods: readonly Pod[]): PodFault | undefined {
  const living = pods
    .filter(({ metadata }) => metadata?.deletionTimestamp === undefined)
    .toSorted((left, right) => ((left.metadata?.name ?? "") < (right.metadata?.name ?? "") ? -1 : 1));
  for (const pod of living) {
    const fault = faultOf(pod);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultOf({ metadata, status }: Pod): PodFault | undefined {
  const name = metadata?.name ?? "";
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const { name: container, state, ready, restartCount, lastState } of containers) {
    const { reason = "", message } = state?.waiting ?? {};
    const known = REASONS[reason];
    if (known !== undefined) {
      const detail = message === undefined ? reason : `${reason}: ${message}`;
      return { reason: known, message: `container "${container}" of pod "${name}": ${detail}` };
    }
    if (!ready && restartCount >= RESTART_COUNT_MIN && lastState?.terminated !== undefined) {
      const ended = `ended ${restartCount} times, last with exit code ${lastState.terminated.exitCode}`;
      return { reason: "CrashLooping", message: `container "${container}" of pod "${name}" ${ended}` };
    }
  }
  return undefined;
}
