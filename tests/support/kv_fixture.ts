/**
 * A KV node in this process, on real sockets and a real folder.
 *
 * @module
 */
import { KvNode, type NodeEvent, type NodeOptions } from "../../kv_node/node.ts";
import { systemClock } from "../../src/runtime/clock.ts";

/** A node that serves. */
export interface ServedKv extends AsyncDisposable {
  /** The node itself. */
  readonly node: KvNode;
  /** Where KV Connect is served, without a path. */
  readonly url: string;
  /** `HOST:PORT` of the link. */
  readonly link: string;
  /** Where operators connect. */
  readonly adminUrl: string;
  /** Its data directory. */
  readonly folder: string;
  /** What it told so far. */
  readonly events: readonly NodeEvent[];
}

const ANYWHERE = { host: "127.0.0.1", port: 0 };
/** Small segments: a new one is filled with zeros before the node serves. */
const SEGMENT_BYTES = 4 * 1_048_576;

/**
 * Starts a node on free ports of 127.0.0.1; at the end it is stopped, and its folder
 * removed unless the options name one.
 */
export async function serveKv(options: Partial<NodeOptions> = {}): Promise<ServedKv> {
  await using opened = new AsyncDisposableStack();
  const folder = options.folder ?? await Deno.makeTempDir({ prefix: "weir-kv-test-" });
  if (options.folder === undefined) {
    opened.defer(() => Deno.remove(folder, { recursive: true }));
  }
  const events: NodeEvent[] = [];
  const node = new KvNode({
    folder,
    listen: ANYWHERE,
    link: ANYWHERE,
    admin: ANYWHERE,
    accessToken: null,
    publicUrl: null,
    publicLink: null,
    databasesMax: 1_024,
    mayCreate: true,
    segmentBytes: SEGMENT_BYTES,
    waitingBytesMax: 64 * 1_048_576,
    connectionsMax: 10_000,
    idleMs: 75_000,
    clock: systemClock,
    onEvent: (event) => events.push(event),
    ...options,
  });
  opened.defer(() => node.stop());
  await node.start();
  const closing = opened.move();
  return {
    node,
    url: node.url,
    link: node.linkAddress,
    adminUrl: node.adminUrl,
    folder,
    events,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}
