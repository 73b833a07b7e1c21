/**
 * What the gateway and the worker of a local model say to one another.
 *
 * @module
 */

/** Why a local model could not be opened. */
export type LocalModelProblem =
  | "permission" // reading the directory or loading native code is not permitted
  | "directory" // there is no such directory
  | "model" // there is no model in it, or none that can be used
  | "tokenizer" // the tokenizer is missing or unreadable
  | "addon" // runtime or tokenizer library are not installed, or not for this machine
  | "worker"; // the worker ended, or did not answer

/** To the worker. */
export type ToModel =
  | {
    readonly type: "open";
    /** Folder of the model. */
    readonly directory: string;
    /** Longest text in tokens, whatever the model allows. */
    readonly tokensMax: number;
    /** Threads of one run. */
    readonly threads: number;
  }
  | { readonly type: "embed"; readonly texts: readonly string[] }
  /** Frees the model, which ending a worker from outside does not, and ends the worker. */
  | { readonly type: "close" };

/** From the worker. */
export type FromModel =
  | {
    readonly type: "opened";
    /** Digest of everything that decides what vectors come out, in 16 hexadecimal digits. */
    readonly digest: string;
    /** Length of its vectors. */
    readonly dims: number;
  }
  | {
    readonly type: "refused";
    readonly problem: LocalModelProblem;
    readonly message: string;
  }
  | {
    readonly type: "embedded";
    /** Vectors one after the other, as they came out of the model. */
    readonly vectors: readonly Float32Array<ArrayBuffer>[];
  }
  | { readonly type: "failed"; readonly message: string };

/** A worker, seen from outside. */
export interface ModelWorker {
  /** Sends a message. */
  post(message: ToModel): void;
  /** Ends it at once, whatever it does. The model's native memory is not given back. */
  terminate(): void;
}

/** What a worker's owner is told. */
export interface ModelWorkerEvents {
  /** A message from it. */
  readonly onMessage: (message: FromModel) => void;
  /** It has ended by an error. */
  readonly onCrash: (why: string) => void;
}
