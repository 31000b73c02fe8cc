#!/bin/sh
# Before anything of production starts: refuses secrets that are missing, short or the example's, and certificates that have run out,
# and says all of them at once. Our services look at what they use themselves; this is for Kafka, Postgres and Grafana, which do not.
set -eu

SECRETS=${SECRETS:-/run/secrets}
SHORTEST=16
SOON_DAYS=30
faults=0

fault() {
  printf 'preflight: %s\n' "$*" >&2
  faults=$((faults + 1))
}
has() {
  if [ -s "$SECRETS/$1" ] && [ -r "$SECRETS/$1" ]; then return; fi
  if [ -s "$SECRETS/$1" ]; then
    fault "$2 cannot be read by user $(id -u): chmod 644 production/secrets/$2"
  else
    fault "$2 is missing or empty: run production/secrets.sh"
  fi
  return 1
}

weakness() {
  case $1 in
    *stream-pulse* | *changeme* | *password*) printf "is an example's, or a guess" ;;
    *) [ "${#1}" -ge "$SHORTEST" ] || printf 'has fewer than %s characters' "$SHORTEST" ;;
  esac
}
mend() { printf 'delete production/secrets/%s, run production/secrets.sh, and see "Rotating" in docs/production.md' "$1"; }

# $1: the secret. $2: its file below production/secrets.
password() {
  has "$1" "$2" || return 0
  weak=$(weakness "$(cat "$SECRETS/$1")")
  [ -z "$weak" ] || fault "$2 $weak: $(mend "$2")"
}

# When the first certificate of a file runs out, as 20280102030405. There is no openssl here, and none is needed: the two times of a
# certificate stand in it as text, and nothing like them comes before.
end_of() {
  end=$(sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/{/CERTIFICATE/!p;/END CERTIFICATE/q}' "$1" | base64 -d 2>/dev/null |
    LC_ALL=C grep -aoE '[0-9]{12,14}Z' | sed -n 2p)
  case ${#end} in
    13) printf '20%s' "${end%Z}" ;;
    15) printf '%s' "${end%Z}" ;;
  esac
}
certificate() {
  has "$1" "$2" || return 0
  end=$(end_of "$SECRETS/$1")
  if [ -z "$end" ]; then
    fault "$2 holds no certificate: $(mend "$2")"
  elif [ "$end" -le "$(date -u +%Y%m%d%H%M%S)" ]; then
    fault "$2 has run out: $(mend "$2")"
  elif [ "$end" -le "$(date -u -d "+$SOON_DAYS days" +%Y%m%d%H%M%S)" ]; then
    printf 'preflight: ATTENTION: %s runs out within %s days: %s\n' "$2" "$SOON_DAYS" "$(mend "$2")"
  fi
}

password postgres_password postgres_password
password grafana_admin_password grafana_admin_password
password grafana_secret_key grafana_secret_key
password grafana_db_password grafana_db_password
password ml_service_token ml_service_token
password kafka_password kafka-users/stream-pulse
certificate kafka_ca ca.pem
certificate kafka_certificate kafka.pem

if has kafka_jaas kafka_jaas.conf; then
  # user_NAME="PASSWORD", as the brokers read them.
  users=$(sed -n 's/^ *user_\([^=]*\)="\(.*\)"$/\1 \2/p' "$SECRETS/kafka_jaas")
  [ -n "$users" ] || fault 'kafka_jaas.conf names no user: run production/secrets.sh'
  while read -r user value; do
    [ -n "$user" ] || continue
    weak=$(weakness "$value")
    [ -z "$weak" ] || fault "kafka-users/$user $weak: $(mend "kafka-users/$user")"
  done <<END
$users
END
fi

[ "$faults" -eq 0 ] || exit 1
echo 'preflight: the secrets are fit for production'
