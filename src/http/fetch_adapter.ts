/**
 * The gateway behind `fetch`: for platforms that bring their own server.
 *
 * @module
 */
import type { Reply, ServerRequest, StreamSource } from "../ports.ts";

/** A platform's request as the gateway takes it. */
export function serverRequest(request: Request): ServerRequest {
  const { headers } = request;
  return {
    method: request.method,
    url: request.url,
    headers: {
      get: (name) => headers.get(name),
      has: (name) => headers.has(name),
      get sizeBytes() {
        let sizeBytes = 0;
        for (const [name, value] of headers) sizeBytes += name.length + value.length + 4;
        return sizeBytes;
      },
    },
    signal: request.signal,
    bytes: (bytesMax) => bytesOf(request, bytesMax),
  };
}

/** The gateway's answer as a platform takes it. */
export function fetchResponse(reply: Reply): Response {
  const { status, body } = reply;
  const headers = reply.headers.map(([name, value]) => [name, value] as [string, string]);
  const plain = body === null || typeof body === "string" || body instanceof Uint8Array;
  return new Response(plain ? body : streamOf(body), { status, headers });
}

async function bytesOf(
  request: Request,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > bytesMax) {
    await request.body?.cancel();
    return null;
  }
  if (announced > 0) return await request.bytes();
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of request.body ?? []) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > bytesMax) return null;
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
}

function streamOf(source: StreamSource): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const slices = await source.pull();
      if (slices === null) return controller.close();
      for (const slice of slices) controller.enqueue(slice);
    },
    cancel: () => source.cancel(),
  }, { highWaterMark: 0 });
}
