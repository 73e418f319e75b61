#!/bin/sh
# Runs a command in a Kerberos realm of its own, with what libzmq's test_security_gssapi asks for: a KDC on the loopback,
# the principal zmqtest2/HOST, and the files that are its key, for server and client. Needs krb5kdc and kadmin.local.
set -eu
PATH=$PATH:/usr/sbin
directory=$(mktemp -d)
kdc=
trap 'if [ -n "$kdc" ]; then kill "$kdc"; fi; rm -rf "$directory"' EXIT
port=$((20000 + $$ % 10000))
# The name that Kerberos takes for that of a service without a host.
host=$(hostname | tr '[:upper:]' '[:lower:]')

cat >"$directory/krb5.conf" <<END
[libdefaults]
 default_realm = ZLINK.TEST
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 dns_canonicalize_hostname = false
 udp_preference_limit = 1
[realms]
 ZLINK.TEST = {
  kdc = 127.0.0.1:$port
 }
[domain_realm]
 $host = ZLINK.TEST
END
cat >"$directory/kdc.conf" <<END
[kdcdefaults]
 kdc_listen = 127.0.0.1:$port
 kdc_tcp_listen = 127.0.0.1:$port
[realms]
 ZLINK.TEST = {
  database_name = $directory/principal
  key_stash_file = $directory/stash
  acl_file = $directory/acl
 }
END
export KRB5_CONFIG="$directory/krb5.conf" KRB5_KDC_PROFILE="$directory/kdc.conf" KRB5RCACHEDIR="$directory"
export KRB5_KTNAME="FILE:$directory/keytab" KRB5_CLIENT_KTNAME="FILE:$directory/keytab"

{
  kdb5_util create -s -r ZLINK.TEST -P "no secret"
  kadmin.local -r ZLINK.TEST -q "addprinc -randkey zmqtest2/$host"
  kadmin.local -r ZLINK.TEST -q "ktadd -k $directory/keytab zmqtest2/$host"
} >"$directory/log" 2>&1 || { cat "$directory/log" >&2; exit 1; }
# It puts itself into the background once it listens, and then writes the file.
krb5kdc -r ZLINK.TEST -P "$directory/pid" >"$directory/log" 2>&1 || { cat "$directory/log" >&2; exit 1; }
for _ in $(seq 600); do
  [ ! -s "$directory/pid" ] || break
  sleep 0.1
done
kdc=$(cat "$directory/pid")

"$@"
