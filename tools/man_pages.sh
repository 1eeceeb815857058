#!/usr/bin/env bash
# Makes manual pages of what --help says: dashf.1 and dashf-VERB.1 of every verb, gzipped. Needs help2man.
# Usage: tools/man_pages.sh DASHF OUT_FOLDER
set -euo pipefail
dashf=$1 out=$2
mkdir -p "$out"
said=$(mktemp -d)
trap 'rm -r "$said"' EXIT
export LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date -r "$dashf" +%s)}

# Where the model lies that ships is another place for everybody.
model=$("$dashf" --help | sed -n 's/^The model that ships: //p')
printf '#!/bin/sh\n"%s" "$@" | sed "s#%s#PREFIX/share/dashf/models/debian-3m#g"\n' "$dashf" "$model" >"$said/dashf"
chmod +x "$said/dashf"

# page NAME SUMMARY VERB...
page() {
    local name=$1 summary=$2
    shift 2
    help2man --no-info --no-discard-stderr --version-string="$("$dashf" --version)" --name="${summary%%;*}" \
        --help-option="$* --help" "$said/dashf" |
        sed "/^\\.SH EXAMPLES/,\$ s/^\\.IP\$/.nf/; s/^\\.TH [^ ]* /.TH ${name^^} /; s/^\\(dashf\\) \\\\- /${name//-/\\\\-} \\\\- /" | gzip -9n >"$out/$name.1.gz"
}

# pages VERB...: of all that is below.
pages() {
    local verb summary
    while IFS=$'\t' read -r verb summary; do
        [ -n "$verb" ] || continue
        page "$(IFS=-; echo "dashf${*:+-}$*-$verb")" "$summary" "$@" "$verb"
        pages "$@" "$verb"
    done < <("$dashf" --complete "$@" '')
}

page dashf "plan and carry out split fine-tuning of LLM adapters"
pages
