/** The numbered SQL files of this folder, for those who apply them. */
export {};
