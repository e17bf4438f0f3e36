/** The memflow command, as a library. */
export {};
