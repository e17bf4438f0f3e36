/** The version of this command: that of its package, which a test compares. */

export const VERSION = "0.1.0";
