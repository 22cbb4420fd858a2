# fish completion of keystile: commands, options, stores of this host, keys of the store in use.

set -l commands create destroy get put del multi snapshot export import claim renew release reclaim watch ls stat check compact verify recover repair flushd log files mcp swarm
set -l keyed get put del claim renew release reclaim watch ls snapshot export

function __keystile_stores
    for file in /dev/shm/keystile.*
        string replace /dev/shm/keystile. shm: $file
    end
end

# Keys that start with what is typed, of the store that is named on the line or in the environment.
function __keystile_keys
    set -l words (commandline -opc)
    set -l store
    if set -l index (contains -i -- --store $words); and set -q words[(math $index + 1)]
        set store --store $words[(math $index + 1)]
    end
    keystile ls --keys $store -- (commandline -ct) 2>/dev/null | head -n 200
end

set -l durations '500ms 1s 10s 30s 1m 5m 1h'

complete -c keystile -f
complete -c keystile -n 'not __fish_seen_subcommand_from files mcp' -l store -x -a '(__keystile_stores)' -d 'The store, e.g. shm:demo'
complete -c keystile -l json -d 'One JSON object a result'
complete -c keystile -s q -l quiet -d 'Print nothing but what was asked for'
complete -c keystile -n 'not __fish_seen_subcommand_from files mcp' -l key-base64 -d 'KEY and PREFIX are base64'
complete -c keystile -s h -l help -d 'Help with examples'

set -l none "not __fish_seen_subcommand_from $commands"
complete -c keystile -n $none -s V -l version -d 'The version of the program'
complete -c keystile -n $none -a create -d 'Create a store, unless it exists'
complete -c keystile -n $none -a destroy -d 'Remove a store and everything in it'
complete -c keystile -n $none -a get -d "Print a key's value"
complete -c keystile -n $none -a put -d 'Commit a value computed from what was seen'
complete -c keystile -n $none -a del -d "Delete a key's value"
complete -c keystile -n $none -a multi -d 'Write many keys in one atomic commit'
complete -c keystile -n $none -a snapshot -d 'Print keys and values as they were at one instant'
complete -c keystile -n $none -a export -d 'Write such a snapshot as JSON lines'
complete -c keystile -n $none -a import -d 'Write keys from JSON lines, as export made them'
complete -c keystile -n $none -a claim -d 'Claim a key; with -- CMD run a command under the claim'
complete -c keystile -n $none -a renew -d "Let a claim's lease run anew from now"
complete -c keystile -n $none -a release -d 'Give a claim back'
complete -c keystile -n $none -a reclaim -d 'Take a claim from an owner who is dead or late'
complete -c keystile -n $none -a watch -d 'Print the changes of a key as they happen'
complete -c keystile -n $none -a ls -d 'List keys'
complete -c keystile -n $none -a stat -d 'Show the store, its counters and who is attached'
complete -c keystile -n $none -a check -d 'Read the whole store and judge it'
complete -c keystile -n $none -a compact -d 'Write a checkpoint of a durable store and drop the journal before it'
complete -c keystile -n $none -a verify -d 'Read every file of a durable store and judge it'
complete -c keystile -n $none -a recover -d 'Make a durable store ready, and say what was found on disk'
complete -c keystile -n $none -a repair -d 'Cut a damaged durable store behind its last sound commit'
complete -c keystile -n $none -a flushd -d 'Bring to disk what all processes of a durable store commit'
complete -c keystile -n $none -a log -d 'Print the history of a durable store'
complete -c keystile -n $none -a files -d 'Work on the plain files of a folder'
complete -c keystile -n $none -a mcp -d 'Serve a folder to agents by Model Context Protocol'
complete -c keystile -n $none -a swarm -d 'A demonstration with many workers'

complete -c keystile -n "__fish_seen_subcommand_from $keyed" -a '(__keystile_keys)'

set -l in '__fish_seen_subcommand_from'
complete -c keystile -n "$in create" -l exclusive -d 'Fail if the store exists'
complete -c keystile -n "$in create" -l expected-keys -x -d 'Sizes the index'
complete -c keystile -n "$in create" -l max-bytes -x -d "Limit of the store's size"
complete -c keystile -n "$in create" -l group -x -a '(__fish_complete_groups)' -d 'Mode 0660 for this group'
complete -c keystile -n "$in create" -l prefault -d 'Touch the first memory now'
complete -c keystile -n "$in create" -l huge-pages -d 'Advise huge pages'
complete -c keystile -n "$in destroy" -l force -d 'Also while processes are attached'
complete -c keystile -n "$in get" -l stamp -d 'Print version and epoch to standard error'
complete -c keystile -n "$in put" -l value -x -d 'The value itself'
complete -c keystile -n "$in put" -l file -r -F -d 'The value is in this file'
complete -c keystile -n "$in multi import" -l file -r -F -d 'Read the lines from this file'
complete -c keystile -n "$in import" -l if-absent -d 'Leave keys that have a value as they are'
complete -c keystile -n "$in import" -l replace -d 'Overwrite keys that have a value'
complete -c keystile -n "$in put" -l update -x -d 'Compute the value by a command'
complete -c keystile -n "$in put" -l create -d 'The key was never written'
complete -c keystile -n "$in put del watch" -l version -x -d 'The version that was seen'
complete -c keystile -n "$in put del watch" -l epoch -x -d 'Its epoch'
complete -c keystile -n "$in put del" -l force -d 'Whatever is there, the last writer wins'
complete -c keystile -n "$in put del" -l release -d 'Give the claim back in the same step'
complete -c keystile -n "$in put del multi" -l tries -x -d 'Give up after losing this many tries'
complete -c keystile -n "$in put del renew release" -l claim -x -d 'Act under the claim of this token'
complete -c keystile -n "$in put del claim multi import" -l wait -x -a "$durations forever" -d "Wait for someone else's claim to end"
complete -c keystile -n "$in claim renew" -l lease -x -a $durations -d 'How long it holds without renewal'
complete -c keystile -n "$in claim" -l grace -x -a $durations -d 'From SIGTERM to SIGKILL'
complete -c keystile -n "$in reclaim" -l epoch -x -d "The claim's epoch"
complete -c keystile -n "$in reclaim" -l live -d 'Also from a living owner'
complete -c keystile -n "$in watch" -l once -d 'End after the first change'
complete -c keystile -n "$in watch" -l prefix -x -d 'Every key that starts with it, of a durable store'
complete -c keystile -n "$in watch" -s n -l count -x -d 'End after this many changes'
complete -c keystile -n "$in watch" -l timeout -x -a "$durations forever" -d 'End after this time'
complete -c keystile -n "$in watch" -l value -d 'Print the value, too'
complete -c keystile -n "$in ls" -s a -l all -d 'Also keys without a value'
complete -c keystile -n "$in ls" -s k -l keys -d 'Only the keys'
complete -c keystile -n "$in swarm" -a "(keystile swarm --help 2>/dev/null | string match -ra -- '--[a-z][a-z-]*')"
complete -c keystile -n "$in verify recover repair flushd log" -x -a '(__fish_complete_directories)'
complete -c keystile -n "$in recover" -l dry-run -d 'Change nothing, only say what would be found'
complete -c keystile -n "$in repair" -l yes -d 'Do it; without it only what would be lost is told'
complete -c keystile -n "$in repair" -l drop-segment -d 'Give up the segment and the commits that only it has'
complete -c keystile -n "$in flushd" -l interval -x -a '1ms 5ms 20ms 100ms' -d 'How long a commit may wait for the disk'
complete -c keystile -n "$in flushd" -l no-checkpoints -d 'Leave them to others'

complete -c keystile -n "$in mcp" -l root -x -a '(__fish_complete_directories)' -d 'The folder'
complete -c keystile -n "$in mcp" -l http -x -a '127.0.0.1:8808' -d 'Serve by HTTP here'
complete -c keystile -n "$in mcp" -l token-file -r -F -d 'Its first line is the bearer token'
complete -c keystile -n "$in mcp" -l allow-host -x -d 'A further name that means this server'
complete -c keystile -n "$in log" -l key -x -d 'Only commits of this key'
complete -c keystile -n "$in log" -l prefix -x -d 'Only keys that start with it'
complete -c keystile -n "$in log" -l from -x -d 'From this lsn on'
complete -c keystile -n "$in log" -s f -l follow -d 'Go on with what is committed from now on'
complete -c keystile -n "$in log" -s n -l count -x -d 'End after this many commits'
complete -c keystile -n "$in log" -l value -d 'Print the values, too'

set -l of_files status watch read write rm publish adopt restore
complete -c keystile -n "$in files; and not __fish_seen_subcommand_from $of_files" -a "$of_files"
complete -c keystile -n "$in files" -l root -x -a '(__fish_complete_directories)' -d 'The folder'
complete -c keystile -n "$in files" -F
complete -c keystile -n "$in files; and $in status" -s a -l all -d 'Also untracked and deleted files'
complete -c keystile -n "$in files; and $in read" -l stamp -d 'Print the stamp'
complete -c keystile -n "$in files; and $in write" -l create -d 'There never was such a file'
complete -c keystile -n "$in files; and $in write" -l value -x -d 'The content itself'
complete -c keystile -n "$in files; and $in write publish" -l file -r -F -d 'It is in this file'
complete -c keystile -n "$in files; and $in write rm" -l version -x -d 'The version that was seen'
complete -c keystile -n "$in files; and $in write rm" -l epoch -x -d 'Its epoch'
complete -c keystile -n "$in files; and $in write rm" -l force -d 'Whatever is there now'
complete -c keystile -n "$in files; and $in write rm adopt" -l claim -x -d 'Act under the claim of this token'
