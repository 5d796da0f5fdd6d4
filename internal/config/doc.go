// Package config is what an operator can set: every setting of every command, with its name, its default
// and the sentence that --help prints for it.
//
// A setting has one variable and one flag. Its value is the first of these that is there:
//
//  1. the flag
//  2. the variable in the process's environment
//  3. the variable in .dev.vars, in the working directory
//  4. the variable in .env, there too
//  5. the default
//
// An empty variable counts as one that isn't set. A secret has a variable but no flag, because other users
// of the machine can read a process's arguments.
//
// The settings are structs with tags for the kong command-line parser: var names the variable, help is the
// sentence. A command embeds the groups that it needs. [Env] is where the variables come from and fills in
// what the command line left open. Every error about a value is an [*Error]: it names the variable and where
// it was set, and never shows a secret.
//
//	config.go     the settings of serve; bridge.go: those of bridge
//	values.go     their types, each of which checks its text
//	validate.go   what is checked of several together
//	env.go        where variables come from; dotenv.go: the files
//	resolve.go    from a variable to a flag
//	warn.go       what works and is probably a mistake
//	error.go      the error
package config
