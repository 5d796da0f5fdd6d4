// Package cli is the command line: the tree of subcommands, and the only place that wires packages
// together.
//
// There is one file for each command. A command is a struct whose tagged fields are its flags (see package
// config for the settings that several commands share), with a method
//
//	Run(ctx context.Context, p *process) error
//
// and a line in [commands]. Its error is printed with a hint, if it has one: see printError.
//
//	composer-api: there is no hosted key "key_1"
//	hint: 'composer-api keys list' lists them
//
// Whatever starts a goroutine or opens something is closed where it was opened, or by [Instance.ShutDown].
//
//	main.go         the tree of commands, errors and exit codes; signals.go what ends a command
//
// The gateway, for serve:
//
//	serve.go        the command
//	wire.go         Assemble puts the gateway together
//	translate.go    what one package says in the words of another
//	instance.go     what runs then, and the order in which it ends
//	upstreams.go    which ways to a model there are; upstream.go Cursor's published bridge, bridge.go the reference system's
//	outside.go      what else is needed from the network
//	database.go     the store
//	memory.go       how the memory is divided; collector.go how often garbage is collected
//	tls.go          the certificate; listen.go opens a listener; operator.go and peers.go those beside the API's
//	limits.go       the limits in words; log.go log levels; logqueue.go who waits for the log; traces.go where traces go
//	banner.go       what is said when it listens; place.go where it is, for other commands
//
// The other commands:
//
//	models.go, status.go, token.go, cursorkey.go, version.go
//	doctor.go       with doctorsubject.go, what is looked at, and doctorsettings.go, the settings
//	setup.go        clients; offer.go what they are told about the gateway
//	service.go, upgrade.go, sim.go
//	accounts.go, keys.go, keylimits.go, invitations.go, admin.go, audit.go: what an operator does
//	migrate.go, reference.go: the database
//	completion.go, complete.go, man.go: from the tree of commands, so a new one is in them
//	screen.go       pages that replace each other in a terminal
package cli
