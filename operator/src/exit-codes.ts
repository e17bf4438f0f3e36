/** How the operator's process ends; a supervisor decides by it whether another try makes sense. */
export const OPERATOR_EXIT_CODES = {
  /** Asked to stop, and everything ended in order. */
  stopped: 0,
  /** Ended by a failure that another try may overcome, or by a second signal. */
  failed: 1,
  /** Refused what it was given: its environment, the kubeconfig, or a port. Another try is in vain. */
  refused: 2,
} as const;
