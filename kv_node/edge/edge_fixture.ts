/**
 * For tests: a listener over two databases in memory.
 *
 * @module
 */
import type { Clock } from "../../src/ports.ts";
import { createEdge, type Edge, type EdgeOptions } from "./edge.ts";
import { MemoryDatabase, MemoryNode, MetricsRecord } from "./memory_database_fixture.ts";
import { DATA_SCOPE, ownEndpoints } from "./metadata.ts";
import type { LimitChecks } from "./ports.ts";
import { HmacTokenSigner, type TokenClaims } from "./token.ts";

/** A listener and all that it hangs on. */
export class EdgeScene {
  readonly clock: Clock;
  readonly main: MemoryDatabase;
  readonly other: MemoryDatabase;
  readonly node: MemoryNode;
  readonly metrics = new MetricsRecord();
  readonly tokens = new HmacTokenSigner([new Uint8Array(32).fill(7)]);
  readonly edge: Edge;

  /** `options` differ from a plain listener's. */
  constructor(clock: Clock, checks: LimitChecks, options: Partial<EdgeOptions> = {}) {
    this.clock = clock;
    this.main = new MemoryDatabase("default", 1, () => clock.wallMs());
    this.other = new MemoryDatabase("other", 2, () => clock.wallMs());
    this.node = new MemoryNode([this.main, this.other]);
    this.edge = createEdge({
      databases: this.node,
      accessTokens: this.node,
      tokens: this.tokens,
      checks,
      clock,
      endpoints: ownEndpoints(null),
      metrics: this.metrics,
      ...options,
    });
  }

  /** A data token of the default database for a minute, but for what is said. */
  token(claims: Partial<TokenClaims> = {}): string {
    return this.tokens.sign({
      databaseId: this.main.id,
      scope: DATA_SCOPE,
      epoch: this.node.epoch,
      expiresMs: this.clock.wallMs() + 60_000,
      ...claims,
    });
  }

  /** Headers of a proper request on the data path. */
  headers(): Record<string, string> {
    return {
      "authorization": `Bearer ${this.token()}`,
      "content-type": "application/x-protobuf",
      "x-denokv-version": "3",
      "x-denokv-database-id": this.main.id,
    };
  }
}
