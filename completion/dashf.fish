# fish completion of dashf: the program itself says what fits (src/cli/completion.h).
function __dashf_complete
    set -l words (commandline -opc)
    set -e words[1]
    dashf --complete $words (commandline -ct) 2>/dev/null
end
complete -c dashf -a '(__dashf_complete)'
