/** The worker process of one task queue, as a library. */
export {};
