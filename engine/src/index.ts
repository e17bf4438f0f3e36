/** The engine: durable execution on Postgres. Its doors for the SDK and the worker. */
export {};
