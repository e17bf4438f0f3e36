/** What users import: Client, Worker, Connection and MemFlow. */
export {};
