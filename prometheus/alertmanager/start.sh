#!/bin/sh
# Writes Alertmanager's configuration from what is set, says what that is, and starts it. Alertmanager reads no environment and wants no
# receiver without an address: hence this.
#
#   e-mail   ALERT_EMAIL_TO, ALERT_EMAIL_FROM, ALERT_SMTP (host:port), ALERT_SMTP_USER; the password is the file smtp_password
#   Slack    the file slack_url: the address of an incoming webhook; ALERT_SLACK_CHANNEL where it is not the webhook's own
#   webhook  the file webhook_url
#
# The files lie in $SECRETS. An address is a secret, as whoever knows it may write there.
set -eu

SECRETS=${SECRETS:-/etc/alertmanager/secrets}
CONFIG=${CONFIG:-/alertmanager/alertmanager.yml}

say() { printf 'alertmanager: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# Whether there is such a secret. One that cannot be read would be missed only when an alert comes.
has() {
  [ -s "$SECRETS/$1" ] || return 1
  [ -r "$SECRETS/$1" ] || fail "the file $1 cannot be read by user $(id -u): chmod 644, or chown it"
}

# A value as YAML has it, in quotes.
quoted() {
  case $1 in *"
"*) fail "a value has more than one line: $1" ;; esac
  printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"
}

receivers() {
  if [ -n "${ALERT_EMAIL_TO:-}" ]; then
    [ -n "${ALERT_SMTP:-}" ] || fail "where to send e-mail is not set: ALERT_SMTP=host:port"
    case ${ALERT_SMTP_TLS:-true} in true | false) ;; *) fail "ALERT_SMTP_TLS is $ALERT_SMTP_TLS: it must be true or false" ;; esac
    cat <<END
    email_configs:
      - to: $(quoted "$ALERT_EMAIL_TO")
        from: $(quoted "${ALERT_EMAIL_FROM:-stream-pulse@localhost}")
        smarthost: $(quoted "$ALERT_SMTP")
        require_tls: ${ALERT_SMTP_TLS:-true}
        send_resolved: true
END
    if [ -n "${ALERT_SMTP_USER:-}" ]; then
      has smtp_password || fail "ALERT_SMTP_USER is set and its password is not: put it into the file smtp_password"
      printf '        auth_username: %s\n        auth_password_file: %s/smtp_password\n' "$(quoted "$ALERT_SMTP_USER")" "$SECRETS"
    fi
  fi
  if has slack_url; then
    cat <<END
    slack_configs:
      - api_url_file: $SECRETS/slack_url
        send_resolved: true
        title: '{{ .Status | toUpper }}: {{ .CommonLabels.service }} ({{ len .Alerts }})'
        text: '{{ range .Alerts }}*{{ .Annotations.summary }}* {{ .Annotations.description }} ({{ .Annotations.runbook_url }}){{ "\n" }}{{ end }}'
END
    [ -z "${ALERT_SLACK_CHANNEL:-}" ] || printf '        channel: %s\n' "$(quoted "$ALERT_SLACK_CHANNEL")"
  fi
  if has webhook_url; then
    # The address itself and not its file: Alertmanager reads that from a file since 0.26 only. This configuration is readable by
    # Alertmanager alone, and its pages hide addresses of webhooks.
    cat <<END
    webhook_configs:
      - url: $(quoted "$(tr -d '\r\n' <"$SECRETS/webhook_url")")
        send_resolved: true
END
  fi
}

umask 077
# By itself, so that what is wrong in it ends the script.
ways=$(receivers)
cat >"$CONFIG" <<END
route:
  receiver: people
  # One message for what has one cause.
  group_by: [service]
  group_wait: ${ALERT_GROUP_WAIT:-10s}
  group_interval: ${ALERT_GROUP_INTERVAL:-1m}
  repeat_interval: ${ALERT_REPEAT_INTERVAL:-4h}

receivers:
  - name: people
$ways

# What follows from something else is not told beside it. Processors that are stuck with anything but scores are so for another reason.
inhibit_rules:
  - source_matchers: ['alertname = PulseMlServiceDown']
    target_matchers: ['alertname =~ "PulseLatencyHigh|PulseConsumerLagGrowing|PulseNoEvents|PulseLatencyBudgetBurn|PulseAvailabilityBudgetBurn"']
  - source_matchers: ['alertname = PulseMlServiceDown']
    target_matchers: ['alertname = PulseProcessorStuck', 'operation = score']
  - source_matchers: ['alertname = PulseServiceDown', 'service = processor']
    target_matchers: ['alertname =~ "PulseProcessorStuck|PulseLatencyHigh|PulseConsumerLagGrowing|PulseNoEvents|PulseRestoreSlow|PulseLatencyBudgetBurn"']
  - source_matchers: ['alertname = PulseServiceDown', 'service = anomaly-writer']
    target_matchers: ['alertname = PulseWriterBehind']
  - source_matchers: ['alertname =~ "PulseServiceDown|PulseMlServiceDown"']
    target_matchers: ['alertname = PulseServiceRestarting']
    equal: [service]
  - source_matchers: ['alertname = PulseProcessorStuck']
    target_matchers: ['alertname =~ "PulseNoEvents|PulseLatencyHigh|PulseConsumerLagGrowing"']
  # The same, less urgent.
  - source_matchers: ['severity = critical']
    target_matchers: ['severity = warning']
    equal: [alertname, service]
END

if [ -n "$ways" ]; then
  say "alerts go to:$(printf '%s\n' "$ways" | sed -n 's/^    \([a-z]*\)_configs:$/ \1/p' | tr -d '\n')"
else
  say "alerts are shown at :9093 and sent to nobody: set ALERT_EMAIL_TO, or put slack_url or webhook_url into prometheus/alertmanager/secrets"
fi
exec /bin/alertmanager --config.file="$CONFIG" --storage.path=/alertmanager --cluster.listen-address= \
  --web.external-url="${ALERTMANAGER_URL:-http://localhost:9093}" "$@"
