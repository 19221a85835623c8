# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pyhookwatch_global_optspecs
    string join \n h/help V/version
end

function __fish_pyhookwatch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pyhookwatch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pyhookwatch_using_subcommand
    set -l cmd (__fish_pyhookwatch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -s V -l version -d 'Print version'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "run" -d 'Watch and send alerts until SIGTERM'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "explain" -d 'Show which rules match a change, and what decided'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "check" -d 'Check the configuration and the rules'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "scan" -d 'List and judge the files that Python runs at start-up'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "coverage" -d 'Show how each place of a start-up hook is watched, and what is blind'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "selftest" -d 'Test detection with harmless files, and report latency and writer'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "status" -d 'Show the daemon\'s status: filesystems, alerts, exclusions, losses'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "selftest-helper" -d 'A process of the self-test'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l config -d 'Configuration file (TOML) instead of /etc/pyhookwatch/pyhookwatch.toml' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l rules -d 'Directory of more rules (*.yml); repeatable. A rule replaces an earlier one with the same id' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l root -d 'Treat DIR as `/`: watch below it, and report paths relative to it' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l backend -d 'fanotify, inotify, or auto (fanotify, and inotify where the kernel refuses it)' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l output -d 'Output instead of the configured ones; repeatable: stdout, syslog, syslog:unix:PATH, file:PATH' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l format -d 'Format of the alerts: ecs (JSON) or text. The default is text on a terminal, ecs elsewhere' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l config -d 'Configuration file (TOML) instead of /etc/pyhookwatch/pyhookwatch.toml' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l rules -d 'Directory of more rules (*.yml); repeatable. A rule replaces an earlier one with the same id' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l path -d 'Changed file' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l action -d 'creation, change, rename, deletion, attribute or mount' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l exe -d 'Executable of the writer, as if confirmed' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l command-line -d 'Arguments of the writer, separated by blanks; sets CommandLine, WriterScript and Installer' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l evidence -d 'Evidence for the executable: proc (default), or exit-record, exec-record, fork-lineage, with which no exclusion applies' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l field -d 'Set a field of docs/rules.md; repeatable' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l content -d 'Judge the content of FILE as that of PATH' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l json -d 'Print JSON'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand check" -l config -d 'Configuration file (TOML) instead of /etc/pyhookwatch/pyhookwatch.toml' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand check" -l rules -d 'Directory of more rules (*.yml); repeatable. A rule replaces an earlier one with the same id' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand scan" -l root -d 'Treat DIR as `/`: a mounted image, the root of a container' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand scan" -l json -d 'Print one JSON object (docs/scan.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -l config -d 'Configuration file (TOML) instead of /etc/pyhookwatch/pyhookwatch.toml' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -l root -d 'Treat DIR as `/`, as `run --root` does' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -l json -d 'Print one JSON object (docs/coverage.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest" -l overlay-only -d 'Only writes through an overlay'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest" -l json -d 'Print one JSON object (docs/selftest.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand status" -l socket -d 'Socket of the daemon instead of the configured one' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand status" -l json -d 'Print one JSON object (docs/status.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand status" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest-helper" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "run" -d 'Watch and send alerts until SIGTERM'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "explain" -d 'Show which rules match a change, and what decided'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "check" -d 'Check the configuration and the rules'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "scan" -d 'List and judge the files that Python runs at start-up'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "coverage" -d 'Show how each place of a start-up hook is watched, and what is blind'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "selftest" -d 'Test detection with harmless files, and report latency and writer'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "status" -d 'Show the daemon\'s status: filesystems, alerts, exclusions, losses'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "selftest-helper" -d 'A process of the self-test'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
