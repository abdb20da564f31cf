"""The command line: flags, files of flags, help and exit codes."""
