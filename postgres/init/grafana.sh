#!/bin/sh
# Runs once, when the container makes its database: a role for Grafana, which may read what our services make and nothing else, and
# not for long. Who looks at a dashboard may ask Postgres anything by this role. Its password: GRAFANA_DB_PASSWORD, or the file that
# GRAFANA_DB_PASSWORD_FILE names.
set -eu
if [ -n "${GRAFANA_DB_PASSWORD_FILE:-}" ]; then GRAFANA_DB_PASSWORD=$(cat "$GRAFANA_DB_PASSWORD_FILE"); fi
psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$POSTGRES_USER" -d "$POSTGRES_DB" \
  -v password="${GRAFANA_DB_PASSWORD:?}" -v owner="$POSTGRES_USER" <<'SQL'
CREATE ROLE grafana LOGIN CONNECTION LIMIT 20 PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT SELECT ON TABLES TO grafana;
SQL
