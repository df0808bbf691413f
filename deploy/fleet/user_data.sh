#!/bin/bash
# User data of an instance of the fleet: from an empty instance to a worker that serves. The stack writes
# /etc/kira/fleet.env before this begins (docs/fleet.md has its names). It may be run again at any time.
set -Eeuo pipefail
umask 022

ROOT="${KIRA_ROOT:-}" # a folder instead of /, for tests
METADATA="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}"
NVME="$ROOT/opt/dlami/nvme"
HOME_OF_KIRA="$ROOT/opt/kira"
STEP="begin"
PYTHON="python3"

say() { echo "kira: $*"; }

step() {
  STEP="$1"
  say "$STEP"
}

# Any command that fails ends here: one sentence, and the group gives another instance.
failed() {
  local line="$1"
  trap - ERR
  say "failed at: $STEP (line $line of user data). The lines above say why; this instance is replaced."
  unfit || say "the Auto Scaling group could not be told; its own health check will find out"
  exit 1
}

metadata() {
  local token
  token="$(curl -fsS -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$METADATA/latest/api/token")"
  curl -fsS -m 5 -H "X-aws-ec2-metadata-token: $token" "$METADATA/latest/meta-data/$1"
}

unfit() {
  local id
  id="$(metadata instance-id)"
  if command -v aws >/dev/null; then
    aws autoscaling set-instance-health --region "$KIRA_REGION" --instance-id "$id" \
      --health-status Unhealthy --no-should-respect-grace-period
  else
    "$PYTHON" - "$KIRA_REGION" "$id" <<'PYTHON'
import sys, boto3
region, instance = sys.argv[1:]
group = boto3.client("autoscaling", region_name=region)
group.set_instance_health(InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
PYTHON
  fi
}

# fetch s3://bucket/key FILE
fetch() {
  if command -v aws >/dev/null; then
    aws s3 cp --only-show-errors --region "$KIRA_REGION" "$1" "$2"
  else
    "$PYTHON" - "$KIRA_REGION" "$1" "$2" <<'PYTHON'
import sys, urllib.parse, boto3
region, source, target = sys.argv[1:]
place = urllib.parse.urlsplit(source)
boto3.client("s3", region_name=region).download_file(place.netloc, place.path.lstrip("/"), target)
PYTHON
  fi
}

python_that_fits() {
  local each
  for each in python3.11 python3.12 python3.13 python3.14 python3; do
    if "$each" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$each"
      return
    fi
  done
}

# The AMI mounts the fast disk of the instance itself; where it did not, the first empty one is taken.
mount_nvme() {
  mkdir -p "$NVME"
  if [ -n "$ROOT" ] || mountpoint -q "$NVME"; then
    return
  fi
  local disk
  disk="$(lsblk -dnpo NAME,MODEL,MOUNTPOINTS | awk '/Instance Storage/ && NF == 6 {print $1; exit}')"
  if [ -z "$disk" ]; then
    say "this type of instance has no fast disk; weights go to the root volume"
    return
  fi
  blkid "$disk" >/dev/null || mkfs.xfs -q "$disk"
  mount "$disk" "$NVME"
}

install_kira() {
  local fresh sum
  fresh="$(mktemp -d)"
  fetch "$KIRA_WHEEL" "$fresh/bundle.zip"
  "$PYTHON" -m zipfile -e "$fresh/bundle.zip" "$fresh/bundle"
  sum="$(sha256sum "$fresh/bundle.zip" | cut -d' ' -f1)"
  if ! grep -qsx "$sum" "$HOME_OF_KIRA/bundle"; then
    mkdir -p "$HOME_OF_KIRA"
    "$PYTHON" -m venv --clear "$HOME_OF_KIRA/.venv"
    local pip=("$HOME_OF_KIRA/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index)
    "${pip[@]}" --no-deps --require-hashes --find-links "$fresh/bundle/libraries" -r "$fresh/bundle/requirements.txt"
    "${pip[@]}" --no-deps "$fresh"/bundle/*.whl
    if [ -f "$fresh/bundle/database-ca.pem" ]; then
      install -m 644 "$fresh/bundle/database-ca.pem" "$HOME_OF_KIRA/database-ca.pem"
    fi
    echo "$sum" >"$HOME_OF_KIRA/bundle"
  fi
  install -D -m 644 -t "$ROOT/etc/systemd/system" "$fresh"/bundle/units/*
  rm -rf "$fresh"
}

trap 'failed $LINENO' ERR

say "begins at $(date -u +%FT%TZ)"
step "read $ROOT/etc/kira/fleet.env"
set -a
# shellcheck source=/dev/null
. "$ROOT/etc/kira/fleet.env"
set +a
for name in KIRA_REGION KIRA_WHEEL; do
  [ -n "${!name:-}" ] || { say "fleet.env has no $name"; false; }
done

step "find Python 3.11 or newer"
PYTHON="$(python_that_fits)"
if [ -z "$PYTHON" ]; then
  dnf install -y -q python3.11
  PYTHON="$(python_that_fits)"
fi
command -v zstd >/dev/null || dnf install -y -q zstd

step "use the fast disk at $NVME"
mount_nvme

step "install Kira from $KIRA_WHEEL"
install_kira

step "make this instance ready"
# It says itself what went wrong, and tells the group.
"$HOME_OF_KIRA/.venv/bin/python" -m kira.cloud.fleet boot --root "${ROOT:-/}" --metadata "$METADATA" || exit 1
