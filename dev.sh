#!/usr/bin/env bash
# WakeDock on this machine: a demo to play with, and every check.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: ./dev.sh VERB

  up       installs what is missing, builds, and leaves a demo running: Caddy, WakeDock and
           three sleeping services under *.localhost
  status   what runs, and what sleeps
  logs     follows what sleeps and wakes
  down     removes what `up` made: processes, containers, images, .dev/ (packages stay)
  test     runs every check and every test
  soak     mixed traffic, faults, sleeps and wakes for two hours, or for as long as it is told
           (./dev.sh soak 10m): nothing may be lost, memory and descriptors may not grow
  pictures takes the pictures in docs/images anew: a harbour of services on an engine of its own, with
           Caddy and Chromium (./dev.sh pictures --png DIR: also as PNG, at four widths)
  help     this text

On Debian as root, the Rust toolchain is all that has to be there.
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")"
readonly root=$PWD
readonly dev=$root/.dev
readonly label=wakedock.dev
readonly services=(hello slow echo)
target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$root/$target
readonly target
PATH=$PATH:/usr/sbin:/sbin
http='' https='' caddy_admin='' proxy='' admin=''

say() { printf '%-10s %s\n' "$1" "$2"; }
die() {
  printf 'dev.sh: %s\n' "$1" >&2
  exit 1
}

# --- what has to be there -------------------------------------------------------------------

have() { command -v "$1" >/dev/null 2>&1; }

toolchain() {
  # shellcheck disable=SC1091
  if ! have cargo && [[ -f $HOME/.cargo/env ]]; then . "$HOME/.cargo/env"; fi
  have cargo || die "Rust is missing: https://rustup.rs says how to get it in one line"
  # rust-toolchain.toml names a release; where rustup may not fetch it, a newer one does as well.
  if ! cargo --version >/dev/null 2>&1 && RUSTUP_TOOLCHAIN=stable cargo --version >/dev/null 2>&1; then
    export RUSTUP_TOOLCHAIN=stable
    say rust "the pinned release cannot be had, stable is used instead"
  fi
  cargo --version >/dev/null || die "cargo does not work (see above)"
}

updated=false
# packages WHAT PACKAGE...
packages() {
  have apt-get || die "$1 is missing, and there is no apt-get to install it with"
  [[ $EUID -eq 0 ]] || die "$1 is missing: as root, apt-get install ${*:2}"
  say install "$1"
  local log=$dev/apt.log
  export DEBIAN_FRONTEND=noninteractive
  $updated || apt-get update >"$log" 2>&1 || { cat "$log" >&2; die "apt-get update failed"; }
  updated=true
  apt-get install --yes --no-install-recommends "${@:2}" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get install ${*:2} failed"
  }
}

# Debian's Python comes without what makes an environment for one program.
python() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages Python python3-venv; }

need() { have "$1" || packages "$1" "${@:2}"; }

# A linker, and the C library to link the demo statically with.
compiler() { need cc gcc libc6-dev; }

caddy_program() {
  have caddy && return
  packages Caddy caddy
  # Debian starts it at once, with its own page on port 80; the demo brings its own Caddy.
  if [[ -d /run/systemd/system ]]; then systemctl --quiet disable --now caddy; fi
}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

engine() {
  if ! have docker || { ! have dockerd && ! engine_answers; }; then packages Docker docker.io; fi
  have docker || packages Docker docker-cli # a package of its own from Debian 13 on
  if ! engine_answers; then
    [[ $EUID -eq 0 ]] || die "no Docker engine answers: start it, or run this as root"
    spawn dockerd "$dev/dockerd.log" dockerd
    comes_up dockerd engine_answers
  fi
  say docker "engine $(docker version --format '{{.Server.Version}}')"
}

# --- processes, told from later ones with the same number by when they were born ------------

born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# await SECONDS COMMAND...
await() {
  local end=$((SECONDS + $1))
  until "${@:2}" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# spawn NAME LOG COMMAND...
spawn() {
  setsid "${@:3}" >>"$2" 2>&1 </dev/null &
  printf '%s %s\n' "$!" "$(born "$!")" >"$dev/$1.pid"
  disown
}

# The number of the process that was recorded under this name, if it is still that one.
pid_of() {
  local pid born
  [[ -f $dev/$1.pid ]] && read -r pid born <"$dev/$1.pid" && [[ -n $born && $(born "$pid") == "$born" ]] || return 1
  echo "$pid"
}

running() { pid_of "$1" >/dev/null; }
gone() { ! running "$1"; }

# comes_up NAME COMMAND...: waits until COMMAND succeeds; shows the log where the process never gets there.
comes_up() {
  local end=$((SECONDS + 60))
  until "${@:2}" >/dev/null 2>&1; do
    if gone "$1" || ((SECONDS >= end)); then
      tail -n 20 "$dev/$1.log" >&2
      die "$1 does not start (see above)"
    fi
    sleep 0.1
  done
}

# end NAME SECONDS: asks it to stop, and makes it.
end() {
  local pid
  pid=$(pid_of "$1") || return 0
  kill "$pid"
  await "$2" gone "$1" || kill -9 "$pid"
  rm -f "$dev/$1.pid"
  say "$1" "stopped"
}

# --- builds ---------------------------------------------------------------------------------

# On a terminal cargo shows how far it is; elsewhere it is quiet unless something is wrong.
build() {
  if [[ -t 2 ]]; then cargo build --locked --release "$@"; else cargo build --quiet --locked --release "$@"; fi
}

# Linked statically, because its image holds nothing else; in a folder of its own, because other
# flags would make every dependency of WakeDock stale.
testapp=
build_testapp() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p')
  RUSTFLAGS='-C target-feature=+crt-static' build --package wakedock-testapp --target "$host" --target-dir "$target/testapp"
  testapp=$target/testapp/$host/release/wakedock-testapp
}

# Programs of others: the tester h2spec, client and server of grpc-go's own interoperability tests,
# and a few lines around its health service. Debian has no packages; the versions are those of
# tests/peers/go.sum.
peers=
build_peers() {
  peers=$target/peers
  (cd tests/peers && CGO_ENABLED=0 go build -o "$peers/" \
    github.com/summerwind/h2spec/cmd/h2spec google.golang.org/grpc/interop/{client,server} ./health)
  # The provider of OpenID Connect runs on Node, from 18 on, which is Debian's; versions are those of the lock file.
  mkdir -p "$peers/provider"
  cp tests/peers/provider/{package.json,package-lock.json,serve.mjs} "$peers/provider/"
  npm ci --prefix "$peers/provider" --ignore-scripts --no-audit --no-fund --loglevel=error
  # What looks over the dashboard for people with assistive technology.
  mkdir -p "$peers/axe"
  cp tests/peers/axe/{package.json,package-lock.json} "$peers/axe/"
  npm ci --prefix "$peers/axe" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# --- the demo -------------------------------------------------------------------------------

demo_changes() {
  echo 'ENTRYPOINT ["/testapp"]'
  echo 'EXPOSE 8080'
  case $1 in
    hello) echo 'ENV FACE=static' ;;
    echo) echo 'ENV FACE=echo' ;;
    slow)
      echo 'ENV FACE=slow HEALTHY_AFTER=6s'
      echo 'HEALTHCHECK --interval=1s --timeout=2s CMD ["/testapp","health"]'
      ;;
  esac
}

# demo SERVICE: its image, and its container, which has never run.
demo() {
  local name=wakedock-demo-$1 changes stamp change arguments=() labels
  mapfile -t changes < <(demo_changes "$1")
  stamp=$(sha256sum - "$testapp" <<<"${changes[*]}" | sha256sum | cut -c1-16)
  if labels=$(docker container inspect --format '{{json .Config.Labels}}' "$name" 2>/dev/null); then
    [[ $labels == *"\"$label\":\"$root\""* ]] || die "container $name is not this demo's: $labels"
    [[ $labels != *"\"$label.stamp\":\"$stamp\""* ]] || return 0
    docker rm --force --volumes "$name" >/dev/null
  fi
  for change in "${changes[@]}" "LABEL $label=$root $label.stamp=$stamp"; do arguments+=(--change "$change"); done
  tar --create --directory "$(dirname "$testapp")" --transform 's/.*/testapp/' "$(basename "$testapp")" |
    docker import "${arguments[@]}" - "$name" >/dev/null
  docker create --name "$name" "$name" >/dev/null
}

# port FIRST: a free TCP port from this one on.
port() {
  local port=$1
  while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}

# Chosen once, so that a second `up` finds everything where it was.
ports() {
  if [[ ! -f $dev/ports ]]; then
    local first
    first=$(port 80)
    [[ $first -eq 80 && $EUID -eq 0 ]] || first=$(port 8080)
    {
      echo "http=$first"
      echo "https=$(port 8443)"
      echo "caddy_admin=$(port 20190)"
      echo "proxy=$(port 7080)"
      echo "admin=$(port 7081)"
    } >"$dev/ports"
  fi
  # shellcheck source=/dev/null
  . "$dev/ports"
}

write_config() {
  cat <<YAML
# Made by ./dev.sh up, which writes it anew each time.
data_dir: $dev/data
proxy:
  listen: ["unix:$dev/proxy.sock", "127.0.0.1:$proxy"]
admin:
  listen: "127.0.0.1:$admin"
caddy:
  mode: managed
  admin: "http://127.0.0.1:$caddy_admin"
  tls: "off"
  http_port: $http
  https_port: $https
docker:
  labels: false
defaults:
  idle: { stop_after: 30s }   # short, so that one sees it
services:
  - name: hello
    hosts: [hello.localhost]
    container: wakedock-demo-hello
    port: 8080
  - name: slow
    hosts: [slow.localhost]
    container: wakedock-demo-slow
    port: 8080
    waiting_page: { title: A slow starter }
  - name: echo
    hosts: [echo.localhost]
    container: wakedock-demo-echo
    port: 8080
YAML
}

fetch() { curl --silent --fail --max-time 5 "$@"; }
caddy_answers() { fetch "http://127.0.0.1:$caddy_admin/config/"; }
wakedock_answers() { fetch "http://127.0.0.1:$admin/readyz"; }
route_published() { caddy_answers | grep -q hello.localhost; }

start_caddy() {
  running caddy && return
  printf '{"admin":{"listen":"127.0.0.1:%s"}}\n' "$caddy_admin" >"$dev/caddy.json"
  HOME=$dev XDG_CONFIG_HOME=$dev/caddy XDG_DATA_HOME=$dev/caddy \
    spawn caddy "$dev/caddy.log" caddy run --config "$dev/caddy.json"
  comes_up caddy caddy_answers
}

start_wakedock() {
  local pid binary=$target/release/wakedock
  write_config >"$dev/config.yml.new"
  # Replaced at one stroke: a running WakeDock takes the edit over.
  mv "$dev/config.yml.new" "$dev/config.yml"
  if pid=$(pid_of wakedock) && [[ ! /proc/$pid/exe -ef $binary ]]; then end wakedock 35; fi
  running wakedock || spawn wakedock "$dev/wakedock.log" "$binary" serve --config "$dev/config.yml"
  comes_up wakedock wakedock_answers
  await 10 route_published || { tail -n 20 "$dev/wakedock.log" >&2; die "Caddy was not given the routes (see above)"; }
}

# Service and phase, one a line, as WakeDock's own metrics tell it.
phases() {
  fetch "http://127.0.0.1:$admin/metrics" |
    sed -nE '/^wakedock_service_phase\{.*\} 1$/{s/.*phase="([^"]*)".*service="([^"]*)".*/\2 \1/;s/.*service="([^"]*)".*phase="([^"]*)".*/\1 \2/;p}'
}

phase() { phases | sed -n "s/^$1 //p"; }

base_url() { [[ $http -eq 80 ]] && echo "http://$1.localhost" || echo "http://$1.localhost:$http"; }

prove() {
  local url before answer status seconds
  url=$(base_url hello)/
  before=$(phase hello || true)
  answer=$(curl --silent --show-error --max-time 60 --write-out '\n%{http_code} %{time_total}' "$url")
  read -r status seconds <<<"${answer##*$'\n'}"
  [[ $status == 200 ]] || die "$url answered $status"
  printf '\n$ curl %s\n%s\nHTTP %s after %s s; it was %s before.\n' \
    "$url" "$(sed -n 's/^<h1>\(.*\)<\/h1>$/  \1/p' <<<"$answer")" "$status" "$seconds" "${before:-not known}"
}

# The link that makes the dashboard's first user; WakeDock says it where there is none.
first_user() { grep -oE 'http://[^ ]+/setup\?token=[A-Za-z0-9_-]+' "$dev/wakedock.log" | tail -n 1 || true; }

try() { printf '  %-68s # %s\n' "$1" "$2"; }

up() {
  mkdir -p "$dev"
  toolchain
  compiler
  need curl curl ca-certificates
  caddy_program
  engine
  say caddy "$(caddy version | cut -d' ' -f1)"
  say build "WakeDock and the demo (the first time takes some minutes)"
  build
  build_testapp
  for service in "${services[@]}"; do demo "$service"; done
  say demo "containers ${services[*]/#/wakedock-demo-}"
  ports
  start_caddy
  start_wakedock
  prove
  printf '\nEverything is left running. To try:\n\n'
  try "curl $(base_url hello)/" "wakes a static page"
  try "curl -sD- -o /dev/null -H 'Accept: text/html' $(base_url slow)/" "as a browser: the waiting page (503) after 2 s"
  try "curl $(base_url slow)/" "is held until it is healthy, about 6 s from asleep"
  try "curl -N '$(base_url echo)/sse?every=1s'" "stays awake as long as this runs"
  try "curl -d hello $(base_url echo)/echo" "is woken by a POST, which is not lost"
  cat <<TRY

In a browser on this machine: $(base_url hello)/  $(base_url slow)/  $(base_url echo)/
Dashboard:    http://127.0.0.1:$admin/
First user:   $(first_user)
For machines: http://127.0.0.1:$admin/readyz  http://127.0.0.1:$admin/metrics

They sleep again after 30 s without use: ./dev.sh logs shows it, ./dev.sh status says what sleeps,
./dev.sh down removes it all.
TRY
}

status() {
  [[ -f $dev/ports ]] || { echo "Nothing is up."; return; }
  ports
  for name in dockerd caddy wakedock; do
    if running "$name"; then
      say "$name" "runs, process $(pid_of "$name")"
    elif [[ $name != dockerd ]]; then # which may well be somebody else's
      say "$name" "does not run"
    fi
  done
  if wakedock_answers >/dev/null; then
    while read -r name phase; do say "$name" "$phase"; done < <(phases)
  fi
}

logs() {
  [[ -f $dev/wakedock.log ]] || die "nothing is up"
  exec tail -n 30 -F "$dev/wakedock.log"
}

down() {
  local ids
  end wakedock 35
  end caddy 10
  if have docker && engine_answers; then
    mapfile -t ids < <(docker ps --all --quiet --filter "label=$label=$root")
    if ((${#ids[@]})); then docker rm --force --volumes "${ids[@]}" >/dev/null && say demo "${#ids[@]} containers removed"; fi
    mapfile -t ids < <(docker images --quiet --filter "label=$label=$root" | sort -u)
    if ((${#ids[@]})); then docker rmi --force "${ids[@]}" >/dev/null && say demo "${#ids[@]} images removed"; fi
  fi
  end dockerd 30
  rm -rf "$dev"
  echo "Nothing is left but what cargo built and apt-get installed."
}

# --- checks ---------------------------------------------------------------------------------

step() {
  printf '\n== %s\n' "$*"
  "$@"
}

documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps; }

# The score of a hardened unit; docs/ says what it leaves out.
units() { systemd-analyze security --offline=true --threshold=16 --no-pager systemd/wakedock.service | tail -n 1; }

# Advisories are the one thing that has to be fetched.
dependencies() {
  cargo deny check bans licenses sources
  cargo deny fetch db >/dev/null 2>&1 || { echo "advisories cannot be fetched: not checked"; return 0; }
  cargo deny check advisories
}

system_tests() {
  WAKEDOCK_BIN=$target/release/wakedock WAKEDOCK_TESTAPP=$testapp WAKEDOCK_PEERS=$peers \
    cargo test --locked --test system
}

engine_is_the_demo_s=false
# shellcheck disable=SC2317 # called by the trap
finish_tests() {
  local status=$?
  # An engine that was started for the tests ends with them.
  $engine_is_the_demo_s || end dockerd 30
  ((status == 0)) || echo "dev.sh: failed in the step above" >&2
}

tests() {
  mkdir -p "$dev"
  trap finish_tests EXIT
  if running dockerd; then engine_is_the_demo_s=true; fi
  toolchain
  compiler
  need shellcheck shellcheck
  need curl curl ca-certificates
  need chromium chromium
  need chromedriver chromium-driver
  need ip iproute2
  need go golang-go
  python
  need node nodejs
  need npm npm
  caddy_program
  engine
  step shellcheck dev.sh .ci/run fuzz/run
  step cargo fmt --all --check
  step cargo clippy --locked --workspace --all-targets -- -D warnings
  step documentation
  if have systemd-analyze; then step units; fi
  if cargo deny --version >/dev/null 2>&1; then step dependencies; fi
  step cargo test --locked --workspace --lib --bins --test it
  step cargo test --locked --workspace --doc
  step build
  step build_testapp
  step build_peers
  step system_tests
}

# Nothing but WakeDock is under test here: no Caddy.
soak() {
  mkdir -p "$dev"
  trap finish_tests EXIT
  if running dockerd; then engine_is_the_demo_s=true; fi
  toolchain
  compiler
  engine
  step build
  step build_testapp
  printf '\n== soak of %s\n' "$1"
  WAKEDOCK_SOAK=$1 WAKEDOCK_BIN=$target/release/wakedock WAKEDOCK_TESTAPP=$testapp \
    cargo test --locked --test system -- soak:: --nocapture
}

# The pages of services that really run, in both themes; what is wrong with one of them fails it.
pictures() {
  local png=
  if [[ ${1:-} == --png ]]; then
    png=$(realpath --canonicalize-missing "${2:?a folder for the pictures}")
  elif (($#)); then
    usage >&2
    exit 64
  fi
  mkdir -p "$dev"
  trap finish_tests EXIT
  if running dockerd; then engine_is_the_demo_s=true; fi
  toolchain
  compiler
  need chromium chromium
  need chromedriver chromium-driver
  need ip iproute2
  need go golang-go
  need node nodejs
  need npm npm
  # The icons of the harbour are in it.
  [[ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ]] || packages fonts fonts-dejavu-core
  caddy_program
  engine
  step build
  step build_testapp
  step build_peers
  local images=$root/docs/images
  printf '\n== pictures in %s\n' "$images"
  WAKEDOCK_PICTURES=$images WAKEDOCK_PICTURES_PNG=$png \
    WAKEDOCK_BIN=$target/release/wakedock WAKEDOCK_TESTAPP=$testapp WAKEDOCK_PEERS=$peers \
    cargo test --locked --test system -- pictures:: --nocapture
}

case ${1:-help} in
  up) up ;;
  down) down ;;
  logs) logs ;;
  status) status ;;
  test) tests ;;
  soak) soak "${2:-2h}" ;;
  pictures) pictures "${@:2}" ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    exit 64
    ;;
esac
