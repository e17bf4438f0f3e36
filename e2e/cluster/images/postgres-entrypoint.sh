#!/bin/sh
# Makes a database cluster where there is none, then runs Postgres in the foreground. It knows the well-known variables
# POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, and no others.
set -eu
user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  printf '%s\n' "${POSTGRES_PASSWORD:?must be set}" > /dev/shm/password
  initdb --pgdata "$PGDATA" --username "$user" --pwfile /dev/shm/password --encoding UTF8 --locale C.UTF-8 \
    --auth-local trust --auth-host scram-sha-256 > /dev/null
  rm /dev/shm/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  if [ "${POSTGRES_DB:-$user}" != postgres ]; then
    echo "create database \"${POSTGRES_DB:-$user}\"" | postgres --single -D "$PGDATA" postgres > /dev/null
  fi
fi
# A volume that comes to another pod with an fsGroup is opened to that group; Postgres refuses such a folder.
chmod 700 "$PGDATA"
# Left by a pod that was killed: here its number may be that of another process. A volume has one pod at a time.
rm -f "$PGDATA/postmaster.pid"
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/dev/shm -c jit=off "$@"
