
_dhow_complete() {
    local IFS=$'\v' line word i joined=() index=0
    # Split at blanks only, up to the cursor.
    line="${COMP_LINE:0:COMP_POINT}"
    IFS=$' \t\n' read -r -a joined <<< "$line"
    [[ "$line" == *[[:space:]] ]] && joined+=("")
    index=$(( ${#joined[@]} - 1 ))
    word="${joined[index]}"
    COMPREPLY=( $( _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX="$index" _CLAP_COMPLETE_SPACE=false \
        COMPLETE=bash "dhow" -- "${joined[@]}" ) )
    # readline replaces only what follows the last break character.
    local head=""
    if [[ "$word" == *[:=]* ]]; then
        head="${word%"${word##*[:=]}"}"
    fi
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]="${COMPREPLY[i]#"$head"}"
    done
    if [[ ${#COMPREPLY[@]} -ne 1 || "${COMPREPLY[0]-}" != *[=/:] ]]; then
        compopt +o nospace 2> /dev/null
    fi
}
complete -o nospace -o bashdefault -o default -F _dhow_complete dhow
