/**
 * For tests of the transports: a raw server that does exactly what a script
 * says, a certificate, and a clock that is moved by hand.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer as createPlainServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

/** The server's end of one connection. */
export class Peer {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #wake: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  /** Which connection of its server this is, from 1. */
  readonly number: number;

  /** Listens to a socket. */
  constructor(socket: Socket, number: number) {
    this.#socket = socket;
    this.number = number;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#receivedBytes += chunk.length;
      this.#stir();
    });
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
    this.closed.then(() => this.#stir());
  }

  /** The next whole request as text, or `null` if the connection ended first. */
  async request(): Promise<string | null> {
    let wantedBytes = 0;
    for (;;) {
      if (this.#receivedBytes >= wantedBytes) {
        const received = Buffer.concat(this.#received);
        this.#received = [received];
        const headEnd = received.indexOf("\r\n\r\n") + 4;
        const head = received.toString("latin1", 0, headEnd);
        wantedBytes = headEnd + Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
        if (headEnd >= 4 && received.length >= wantedBytes) {
          this.#received = [received.subarray(wantedBytes)];
          this.#receivedBytes -= wantedBytes;
          return received.toString("latin1", 0, wantedBytes);
        }
      }
      if (!await this.#more()) return null;
    }
  }

  /** Waits until anything has arrived, then stops reading. */
  async firstBytes(): Promise<void> {
    while (this.#receivedBytes === 0 && await this.#more());
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  /** Writes, and waits until the system has taken it (or the connection is gone). */
  write(data: string | Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    this.#socket.write(bytes, () => resolve());
    return Promise.race([promise, this.closed]);
  }

  /** Writes one byte at a time. */
  async writeSlowly(text: string): Promise<void> {
    for (const character of text) await this.write(character);
  }

  /** Ends the connection, after what was written. */
  end(): void {
    this.#socket.end();
  }

  /** Ends it with a TCP reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Drops it. */
  destroy(): void {
    this.#socket.destroy();
  }

  async #more(): Promise<boolean> {
    if (this.#socket.destroyed) return false;
    await this.#wake.promise;
    return true;
  }

  #stir(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** A running script. */
export interface RawServer extends AsyncDisposable {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: () => number;
}

/** Starts a server on 127.0.0.1 that runs `script` for each connection. */
export async function serveRaw(
  script: (peer: Peer) => Promise<void>,
  certificate?: Certificate,
): Promise<RawServer> {
  let accepted = 0;
  const peers = new Set<Peer>();
  const scripts: Promise<void>[] = [];
  const accept = (socket: Socket): void => {
    const peer = new Peer(socket, ++accepted);
    peers.add(peer);
    peer.closed.then(() => peers.delete(peer));
    scripts.push(script(peer));
  };
  const server: Server = certificate === undefined
    ? createPlainServer(accept)
    : createTlsServer({ cert: certificate.certPem, key: certificate.keyPem }, accept);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot listen: no port");
  return {
    port: address.port,
    accepted: () => accepted,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const peer of peers) peer.destroy();
      await closed;
      await Promise.all(scripts);
    },
  };
}

/** A certificate and its key. */
export interface Certificate {
  /** PEM. */
  readonly certPem: string;
  /** PEM, PKCS #8. */
  readonly keyPem: string;
}

/** Makes a certificate for 127.0.0.1 that vouches for itself (X.509 v3, RFC 5280). */
export function makeCertificate(): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaSha256 = sequence(der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
  const name = sequence(
    der(0x31, sequence(der(0x06, [0x55, 0x04, 0x03]), der(0x0c, Buffer.from("test")))),
  );
  const alternativeName = sequence(
    der(0x06, [0x55, 0x1d, 0x11]),
    der(0x04, sequence(der(0x87, [127, 0, 0, 1]))),
  );
  const tbs = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [1]),
    ecdsaSha256,
    name,
    sequence(
      der(0x18, Buffer.from("20200101000000Z")),
      der(0x18, Buffer.from("20991231235959Z")),
    ),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(alternativeName)),
  );
  const signature = sign("sha256", tbs, privateKey);
  const certificate = sequence(
    tbs,
    ecdsaSha256,
    der(0x03, Buffer.concat([Buffer.of(0), signature])),
  );
  const lines = certificate.toString("base64").replace(/.{64}/g, "$&\n");
  return {
    certPem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

/** One DER value: tag, length, content. */
function der(tag: number, content: Uint8Array | readonly number[]): Buffer {
  const bytes = Buffer.from(content);
  const { length } = bytes;
  const header = length < 128
    ? [tag, length]
    : length < 256
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(header), bytes]);
}
