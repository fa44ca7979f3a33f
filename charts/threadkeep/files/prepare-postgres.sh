#!/bin/sh
# Before PostgreSQL starts over a volume that has been used before: refuses another version's data,
# and gives the superuser the password of the Secret where that has changed.
set -eu
secret=/etc/threadkeep/database/postgres-password
known=$PGDATA.password
umask 077

digest=$(sha256sum < "$secret")
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # The volume is new: the image's entry point makes the superuser with this password.
    echo "$digest" > "$known"
    exit 0
fi

found=$(cat "$PGDATA/PG_VERSION")
program=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
if [ "$found" != "$program" ]; then
    echo "The volume holds data of PostgreSQL $found, the image is $program:" \
        "see 'Another version of PostgreSQL' in docs/operations.md." >&2
    exit 1
fi

[ "$digest" != "$(cat "$known" 2>/dev/null)" ] || exit 0

# The server's own lock: none may work in there now, not even one whose pod is gone already.
exec 9> "$PGDATA.lock"
flock --wait 120 9
# The new password goes through standard input: arguments are visible to others.
printf "ALTER ROLE postgres PASSWORD '%s';\n\n" "$(sed "s/'/''/g" "$secret")" |
    postgres --single -j -D "$PGDATA" postgres > /dev/null
echo "$digest" > "$known"
echo 'The superuser has the password of the Secret.'
