#!/bin/sh
# Makes what production needs and is not there yet, in production/secrets: passwords, certificates, and what is put together of them.
# What is there stays. To renew something, delete its file and run this again: docs/production.md says what to restart then.
#
#   production/secrets.sh [USER...]
#
# KAFKA_HOST, in .env, is the name or the address by which producers reach this machine. Each USER becomes one more user of Kafka who
# may produce, beside `producer`. Needs openssl alone.
set -eu
cd "$(dirname "$0")"

# Of a broker's certificate: what clients accept at the most. The authority outlives it, so that clients need not be told.
DAYS=825
CA_DAYS=3650
# Users of Kafka that are not people's: the brokers among themselves, and our services.
OURS='broker stream-pulse'
BROKERS='kafka kafka-2 kafka-3'

say() { printf '%s\n' "$*"; }
fail() { printf 'secrets.sh: %s\n' "$*" >&2; exit 1; }
# The value of a variable: as it is set, else as .env has it, else the default. Docker Compose takes it from the same places.
setting() {
  eval "value=\${$1:-}"
  [ -n "$value" ] || value=$(sed -n "s/^$1=//p" ../.env 2>/dev/null | tail -n 1)
  printf '%s' "${value:-$2}"
}

command -v openssl >/dev/null || fail 'openssl is missing: install it'
KAFKA_HOST=$(setting KAFKA_HOST '')
case $KAFKA_HOST in
  '') fail 'KAFKA_HOST is not set: put the name or the IPv4 address by which producers reach this machine into .env, as in KAFKA_HOST=kafka.example.com' ;;
  *[!A-Za-z0-9.-]*) fail "KAFKA_HOST is neither a name nor an IPv4 address: $KAFKA_HOST" ;;
  *[!0-9.]*) san="DNS:$KAFKA_HOST" ;;
  *) san="IP:$KAFKA_HOST" ;;
esac
for user in "$@"; do
  case $user in '' | -* | *[!a-z0-9-]*) fail "a user's name has small letters, digits and hyphens alone: $user" ;; esac
done

# Containers read their files as users of their own, which this machine does not have: files are open to all, and the folder to its
# owner alone.
umask 022
mkdir -p secrets/kafka-users secrets/producers
chmod 700 secrets
cd secrets
work=$(mktemp -d ./.new.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# What is whole takes its place at once, where it differs: what is interrupted leaves no half of a secret.
put() {
  cat >"$work/put"
  if cmp -s "$work/put" "$1"; then return; fi
  mv "$work/put" "$1"
  say "made $1"
}
password() {
  if [ -s "$1" ]; then return; fi
  openssl rand -hex 24 >"$work/password"
  put "$1" <"$work/password"
}
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null; }

for name in postgres_password grafana_admin_password grafana_secret_key grafana_db_password ml_service_token; do
  password "$name"
done
for user in $OURS producer "$@"; do
  password "kafka-users/$user"
done

authority() {
  cat >"$work/ca.cnf" <<'END'
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = Stream Pulse CA
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END
  key >"$work/ca.key"
  openssl req -x509 -new -config "$work/ca.cnf" -key "$work/ca.key" -days "$CA_DAYS" >"$work/ca.pem"
  put ca.key <"$work/ca.key"
  chmod 600 ca.key
  put ca.pem <"$work/ca.pem"
  say '     ca.key signs: keep it elsewhere, and bring it back to renew kafka.pem'
}

# One certificate for the three brokers: they are one to whoever connects.
certificate() {
  [ -s ca.key ] || fail 'kafka.pem is missing, and ca.key to sign it: bring that back, or put a kafka.pem of your own here (key, then certificates)'
  names=DNS:localhost
  for broker in $BROKERS; do names="$names, DNS:$broker"; done
  [ "$san" = DNS:localhost ] || names="$names, $san"
  cat >"$work/kafka.cnf" <<END
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $names
END
  key >"$work/kafka.key"
  openssl req -new -key "$work/kafka.key" -subj /CN=kafka >"$work/kafka.csr"
  openssl x509 -req -in "$work/kafka.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -days "$DAYS" \
    -extfile "$work/kafka.cnf" >"$work/kafka.crt" 2>/dev/null || fail 'openssl cannot sign: do ca.pem and ca.key belong together?'
  cat "$work/kafka.key" "$work/kafka.crt" ca.pem | put kafka.pem
  say "     for $names"
}

if [ ! -s ca.pem ]; then
  if [ -s kafka.pem ] || [ -s ca.key ]; then fail 'ca.pem is missing, and kafka.pem or ca.key is there: put the ca.pem of those here'; fi
  authority
fi
[ -s kafka.pem ] || certificate
again='delete it, run this again, and restart the brokers'
openssl x509 -in kafka.pem -noout -checkend 2592000 >/dev/null || say "ATTENTION: kafka.pem runs out within 30 days: $again"
# It may be somebody's own, and older than KAFKA_HOST.
openssl verify -CAfile ca.pem -untrusted kafka.pem kafka.pem >/dev/null 2>&1 || fail 'kafka.pem was not signed by ca.pem: clients would refuse the brokers'
for broker in $BROKERS; do
  openssl x509 -in kafka.pem -noout -checkhost "$broker" | grep -q 'does match' || fail "kafka.pem is not for $broker: brokers would refuse each other"
done
case $san in IP:*) check=-checkip ;; *) check=-checkhost ;; esac
openssl x509 -in kafka.pem -noout "$check" "$KAFKA_HOST" | grep -q 'does match' ||
  say "ATTENTION: kafka.pem is not for KAFKA_HOST=$KAFKA_HOST: $again"

# From here on, what is put together of the files above: it follows them, each time.
login() { printf 'org.apache.kafka.common.security.plain.PlainLoginModule required'; }
for file in kafka-users/*; do
  case $(cat "$file") in *[\"\\]*) fail "$file: a password of Kafka must have neither quotes nor backslashes" ;; esac
done
{
  say 'KafkaServer {'
  say "  $(login) username=\"broker\" password=\"$(cat kafka-users/broker)\""
  for file in kafka-users/*; do say "  user_${file#*/}=\"$(cat "$file")\""; done
  say '  ;'
  say '};'
} | put kafka_jaas.conf

# For Java: properties of a client for $1, who reaches the brokers at $2 and finds the authority at $3.
java_client() {
  cat <<END
bootstrap.servers=$2
security.protocol=SASL_SSL
sasl.mechanism=PLAIN
sasl.jaas.config=$(login) username="$1" password="$(cat "kafka-users/$1")";
ssl.truststore.type=PEM
ssl.truststore.location=$3
END
}
# For librdkafka: kcat -F, and clients of Python, Go, .NET and so on.
other_client() {
  cat <<END
bootstrap.servers=$2
security.protocol=SASL_SSL
sasl.mechanism=PLAIN
sasl.username=$1
sasl.password=$(cat "kafka-users/$1")
ssl.ca.location=$3
END
}
java_client stream-pulse kafka:19092,kafka-2:19092,kafka-3:19092 /run/secrets/kafka_ca | put kafka_admin.properties
outside=$KAFKA_HOST:$(setting KAFKA_PORT 9092),$KAFKA_HOST:$(setting KAFKA_PORT_2 9093),$KAFKA_HOST:$(setting KAFKA_PORT_3 9094)
for file in kafka-users/*; do
  user=${file#*/}
  case " $OURS " in *" $user "*) continue ;; esac
  mkdir -p "producers/$user"
  put "producers/$user/ca.pem" <ca.pem
  java_client "$user" "$outside" ca.pem | put "producers/$user/client.properties"
  other_client "$user" "$outside" ca.pem | put "producers/$user/librdkafka.conf"
done
say "all there, in $PWD. The brokers' certificate: $(openssl x509 -in kafka.pem -noout -enddate)"
