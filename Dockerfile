# Weir in a container: non-root, read-only, and with the permissions its configuration needs.
#
#   docker build --tag weir .
#   docker run --read-only --cap-drop ALL --publish 8080:8080 \
#     --volume ./weir.yaml:/etc/weir/weir.yaml:ro --env OPENAI_API_KEY weir
#
# A KV node, its data in a volume that user 10001 may write to:
#
#   docker run --read-only --cap-drop ALL --publish 4512:4512 --volume kv:/data \
#     --env WEIR_KV_TOKEN weir kv --data /data --listen 0.0.0.0:4512 --admin 0.0.0.0:4513
#
# On platforms that run `deno serve` themselves, with WEIR_CONFIG naming the file:
#
#   docker run … --entrypoint deno weir serve --cached-only --port 8080 \
#     --allow-net --allow-env --allow-read=/etc/weir /app/serve.ts

# Deno comes from npm, which needs glibc: no Alpine.
FROM node:22.16.0-bookworm-slim AS build
# The first call puts the binary in the launcher's place.
RUN npm install --global deno@2.9.6 && deno --version && cp -L "$(command -v deno)" /usr/local/bin/deno-binary
ENV DENO_DIR=/deno-dir
WORKDIR /app
COPY deno.json deno.lock mod.ts serve.ts ./
COPY src ./src
COPY kv_node ./kv_node
COPY tools/entrypoint.sh ./tools/entrypoint.sh
# The lock file is frozen, so this fetches what was tested or fails.
RUN deno cache mod.ts serve.ts kv_node/main.ts

FROM debian:12.11-slim
COPY --from=build /usr/local/bin/deno-binary /usr/local/bin/deno
COPY --from=build /deno-dir /deno-dir
COPY --from=build /app /app
ENV DENO_DIR=/deno-dir DENO_NO_UPDATE_CHECK=1
USER 10001:10001
WORKDIR /app
EXPOSE 8080 8081
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
  CMD ["deno", "run", "--no-prompt", "--cached-only", "--allow-net=127.0.0.1:8081", "/app/src/cli/health.ts"]
ENTRYPOINT ["/app/tools/entrypoint.sh"]
CMD ["serve", "--config", "/etc/weir/weir.yaml", "--host", "0.0.0.0"]
