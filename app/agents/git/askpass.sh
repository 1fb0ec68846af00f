#!/bin/sh
# Answers the questions of git for a user name and a password, from the open file that askpass.py lent to this git.
# It answers for one origin: a redirect to another host gets nothing.
channel=/dev/fd/${TASKBEACON_ASKPASS_FD:?}
origin=$(sed -n 1p "$channel") || exit 1
case $1 in
"Username for '$origin': " | "Username for \"$origin\"") exec sed -n 2p "$channel" ;;
"Password for '${origin%%://*}://"*"@${origin#*://}': " | "Password for \"${origin%%://*}://"*"@${origin#*://}\"") exec sed -n 3p "$channel" ;;
esac
exit 1
