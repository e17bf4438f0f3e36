/** How the worker process ends; a supervisor decides by it whether another try makes sense. */
export const WORKER_EXIT_CODES = {
  /** Asked to stop, and everything was handed over. */
  stopped: 0,
  /** Ended by a failure that another try may overcome: the database, or a fault while it stopped. */
  failed: 1,
  /** Refused what it was given: its environment, the user's code, or the health port. Another try is in vain. */
  refused: 2,
} as const;
