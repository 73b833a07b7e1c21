#!/bin/sh
# What the container runs: `mod.ts` with the permissions that its configuration needs.
#
#   entrypoint.sh serve --config /etc/weir/weir.yaml --host 0.0.0.0
#   entrypoint.sh kv --data /data --listen 0.0.0.0:4512 --admin 0.0.0.0:4513
#
# The permissions are read off the configuration first, by a process that may read that
# one file and nothing else.
set -eu

weir() {
  deno run --no-prompt --cached-only "$@"
}

# The value of --data among the words.
data_among() {
  data=/data
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=${2:-} ;;
      --data=*) data=${1#--data=} ;;
    esac
    shift
  done
  printf '%s' "$data"
}

# The value of --config among the words, or the default of the command line.
config_among() {
  config=weir.yaml
  while [ $# -gt 0 ]; do
    case $1 in
      -c | --config) config=${2:-} ;;
      --config=*) config=${1#--config=} ;;
    esac
    shift
  done
  printf '%s' "$config"
}

app=/app
command=${1:-serve}
[ $# -eq 0 ] || shift
case $command in
  serve | check)
    config=$(config_among "$@")
    permissions=$(weir --allow-read="$config" "$app/mod.ts" check --flags "$@")
    # One permission a line, so that a path may hold spaces; none may hold a wildcard.
    IFS='
'
    set -f
    # shellcheck disable=SC2086
    exec deno run --cached-only $permissions "$app/mod.ts" "$command" "$@"
    ;;
  simulate)
    exec deno run --no-prompt --cached-only --allow-net "$app/mod.ts" simulate "$@"
    ;;
  kv)
    # A node; its tools are run beside it, with `deno run` and what `kv help` names.
    data=$(data_among "$@")
    exec deno run --no-prompt --cached-only --allow-net=0.0.0.0,127.0.0.1 \
      --allow-read="$data,$app/kv_node" --allow-write="$data" --allow-env=WEIR_KV_TOKEN \
      "$app/mod.ts" kv --data "$data" "$@"
    ;;
  demo)
    exec deno run --no-prompt --cached-only --allow-net=127.0.0.1 --allow-read="$app/src" \
      "$app/mod.ts" demo "$@"
    ;;
  *)
    exec deno run --no-prompt --cached-only --allow-net=127.0.0.1 "$app/mod.ts" "$command" "$@"
    ;;
esac
