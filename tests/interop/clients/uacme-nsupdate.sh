#!/usr/bin/env bash
# uacme-nsupdate.sh NAME...: uacme, whose hook is nsupdate by hand.
set -euo pipefail
read -r key secret < <("$(dirname "$0")/../tsig-key" "$1")
umask 077
printf 'key "%s" {\n\talgorithm hmac-sha256;\n\tsecret "%s";\n};\n' "$key" "$secret" >"$CLIENT_DIR/key"
cat >"$CLIENT_DIR/hook" <<END
#!/usr/bin/env bash
[[ \$2 == dns-01 ]] || exit 1
case \$1 in
    begin) change="update add" ;;
    *) change="update delete" ;;
esac
nsupdate -k "$CLIENT_DIR/key" <<< "server $TXTGATE_DNS
\$change $(jq -er --arg domain "$1" '.[$domain].fulldomain' "$TXTGATE_ACCOUNTS"). 1 TXT \$5
send"
END
chmod +x "$CLIENT_DIR/hook"
ACME_HOOK=$CLIENT_DIR/hook exec "$(dirname "$0")/uacme.sh" "$@"
