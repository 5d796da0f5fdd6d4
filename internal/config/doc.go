// Package config is what an operator can set: every setting of every command, with its name, its default and the
// sentence that --help prints for it.
//
// A setting has one variable and one flag. Its value comes from the flag if that was given, else from the process's
// environment, else from .dev.vars, else from .env (both in the working directory), else it is the default. An empty
// variable counts as one that isn't set. A secret has a variable but no flag, because other users of the machine can read
// a process's arguments.
//
// The settings are structs with tags for the kong command-line parser: var names the variable, help is the
// sentence. A command embeds the groups that it needs. [Env] is where the variables come from and fills in what the
// command line left open. Every error about a value is an [*Error]: it names the variable and where it was set, and
// never shows a secret.
package config
