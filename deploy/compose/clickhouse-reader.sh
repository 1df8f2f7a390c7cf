# Sourced once by the image's entrypoint, which has set `clickhouseclient`: a user for Grafana that can only read.
password=$(cat /run/secrets/clickhouse-reader)
password=${password//\\/\\\\}
password=${password//\'/\\\'}
"${clickhouseclient[@]}" -q "
CREATE USER IF NOT EXISTS grafana IDENTIFIED WITH sha256_password BY '$password';
GRANT SELECT ON funnelwatch.* TO grafana;"
unset password
