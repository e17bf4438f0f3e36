/** The kinds of memflow.io/v1alpha1 and the reader of their manifests. */
export {};
