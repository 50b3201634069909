#!/bin/sh
# Makes the speech file of `utd demo`: utd_core/cli/assets/voice.wav, or the path given as the first argument.
# Needs espeak-ng and sox (apt-get install espeak-ng sox). What is said, and why so: utd_core/cli/assets/README.md.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:-"$root/utd_core/cli/assets/voice.wav"}
text='Hello everyone, and thank you for the seat. Can you all hear me?'

for tool in espeak-ng sox; do
    command -v "$tool" >/dev/null || { echo "make_voice: $tool is missing; apt-get install espeak-ng sox" >&2; exit 1; }
done

raw=$(mktemp "${TMPDIR:-/tmp}/utd-voice.XXXXXX")
trap 'rm -f "$raw"' EXIT

# A calm speaker: a little slower than the default 175 words/min, a little higher than the default pitch 50.
espeak-ng -v en-us -s 160 -p 54 -w "$raw" "$text"

# -D: no dither, so two runs give the same bytes. Resample to 48 kHz, cut the silence at both ends (the second
# time on the reversed sound), fade 10 ms so that a loop does not click, leave 40 ms of room, peak at -3 dBFS.
sox -D -t wav "$raw" -c 1 -b 16 -e signed-integer -t wav "$out" \
    gain -6 rate -v 48000 \
    silence 1 0.01 0.5% fade t 0.01 pad 0.04 reverse \
    silence 1 0.01 0.5% fade t 0.01 pad 0.04 reverse \
    gain -n -3
