/**
 * The relay one writes first: `fetch`, and hand its body on untouched.
 *
 * A yardstick between nginx and a gateway: what the platform costs by itself.
 *
 *     deno run --allow-net=127.0.0.1 bench/load/passthrough.ts PORT BACKEND_PORT
 *
 * @module
 */
const [port, backendPort] = Deno.args;

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen() {} }, async (request) => {
  const { pathname } = new URL(request.url);
  const response = await fetch(`http://127.0.0.1:${backendPort}${pathname}`, {
    method: request.method,
    headers: { "content-type": "application/json" },
    body: await request.text(),
    signal: request.signal,
  });
  return new Response(response.body, { status: response.status, headers: response.headers });
});
