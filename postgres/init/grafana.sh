#!/bin/sh
# Runs once, when the container makes its database: a role for Grafana, which may read and nothing else.
set -eu
psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v password="${GRAFANA_DB_PASSWORD:?}" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password';
GRANT pg_read_all_data TO grafana;
SQL
