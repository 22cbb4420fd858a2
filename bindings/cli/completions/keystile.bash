# bash completion of keystile: commands, options, stores of this host, keys of the store in use.

# _keystile_keys STORE PREFIX: at most a screenful, and nothing if there is no such store.
_keystile_keys() {
    keystile ls --keys ${1:+--store "$1"} -- "$2" 2>/dev/null | head -n 200
}

_keystile_stores() {
    local file
    for file in /dev/shm/keystile.*; do
        [[ -e $file ]] && printf 'shm:%s\n' "${file#/dev/shm/keystile.}"
    done
}

_keystile() {
    local cur prev words cword
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: cur prev words cword
    else
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi

    local commands='create destroy get put del multi snapshot export import claim renew release reclaim watch ls stat check compact verify recover repair flushd log files mcp swarm'
    local globals='--store --json --quiet --key-base64 --help'
    local command='' store='' arguments=0 word i
    for ((i = 1; i < cword; i++)); do
        word=${words[i]}
        case $word in
            --store) store=${words[++i]} ;;
            --store=*) store=${word#--store=} ;;
            --value | --file | --update | --claim | --version | --epoch | --lease | --wait | --grace | --timeout | \
                --interval | --tries | --count | -n | --expected-keys | --max-bytes | --group | --key | --prefix | --from | --root | --http | \
                --token-file | --allow-host) ((i++)) ;;
            --) # the command that `claim KEY --` runs
                if [[ $command == claim ]]; then
                    if declare -F _command_offset >/dev/null; then
                        _command_offset $((i + 1))
                    else
                        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
                    fi
                    return
                fi ;;
            -*) ;;
            *) if [[ -z $command ]]; then command=$word; else ((arguments++)); fi ;;
        esac
    done

    [[ $command == files || $command == mcp ]] && globals='--json --quiet --help'  # their store lies in the folder
    local choices=''
    case $prev in
        --store) choices=$(_keystile_stores) ;;
        --root) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && return ;;
        --file | --token-file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
        --group) mapfile -t COMPREPLY < <(compgen -g -- "$cur") && return ;;
        --interval) choices='1ms 5ms 20ms 100ms' ;;
        --lease | --wait | --timeout | --grace) choices='500ms 1s 10s 30s 1m 5m 1h' ;;&
        --wait | --timeout) choices+=' forever' ;;
        --lease | --grace) ;;
        --value | --update | --claim | --version | --epoch | --tries | --count | -n | --expected-keys | --max-bytes | \
            --key | --prefix | --from | --allow-host)
            return ;;
        --http) choices='127.0.0.1:8808' ;;
        *)
            case $command in
                '') choices="$commands --version" ;;
                create) choices='--exclusive --expected-keys --max-bytes --group --prefault --huge-pages' ;;
                destroy) choices='--force' ;;
                get) choices='--stamp' ;;
                put) choices='--value --file --version --epoch --update --create --force --claim --release --tries --wait' ;;
                multi) choices='--file --tries --wait' ;;
                import) choices='--file --if-absent --replace --wait' ;;
                del) choices='--version --epoch --force --claim --release --tries --wait' ;;
                claim) choices='--lease --wait --grace --' ;;
                renew) choices='--claim --lease' ;;
                release) choices='--claim' ;;
                reclaim) choices='--epoch --live' ;;
                watch) choices='--prefix --version --epoch --once --count --timeout --value' ;;
                ls) choices='--all --keys' ;;
                recover) choices='--dry-run' ;;
                repair) choices='--yes --drop-segment' ;;
                flushd) choices='--interval --no-checkpoints' ;;
                log) choices='--key --prefix --from --follow --count --value' ;;
                files)
                    choices='--root --all --count --stamp --value --file --version --epoch --create --force --claim' ;;
                mcp) choices='--root --http --token-file --allow-host' ;;
                swarm) choices=$(keystile swarm --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u) ;;
            esac
            choices+=" $globals"
            case $command in
                get | put | del | claim | renew | release | reclaim | watch | ls | snapshot | export)
                    if [[ $cur != -* ]] && ((arguments == 0)); then
                        mapfile -t COMPREPLY < <(_keystile_keys "$store" "$cur")
                        declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
                        return
                    fi ;;
                verify | recover | repair | flushd | log)
                    if [[ $cur != -* ]] && ((arguments == 0)); then
                        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
                        return
                    fi ;;
            esac
            if [[ $command == files && $cur != -* ]]; then
                if ((arguments == 0)); then choices='status watch read write rm publish adopt restore'; else
                    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                    return
                fi
            elif [[ -n $command && $cur != -* ]]; then return; fi ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
    if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
}

complete -F _keystile keystile
