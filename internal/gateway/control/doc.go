// Package control enforces what a request asks of its answer (that a tool is called, that the text is JSON of some form,
// that it ends at a limit), and what the operator asks of every answer: that it gets somewhere and stays in its budget.
//
// It stands between the gateway and the backends. A [Run] is an [agent.Run] around a backend's own, so neither side
// knows of it: the gateway reads events that keep to the request, and the backend carries out ordinary runs. A [Turn] is
// what one request asks, and what has become of it so far; each turn of a run has its own, because the client's next
// request may ask for something else.
//
// Where the model has not done what it must, the Run says so to the model and lets it try once more. That is one more
// message in upstream's own conversation, unseen by the client, and not a second telling of the whole transcript. Both
// attempts count in the usage.
//
// What happens to the end of the inner run's turn (see Run.done), the first line that fits:
//
//	the inner turn ended with            and the request   the client gets
//	calls, all of them refused by us     any               nothing yet; the same turn goes on
//	calls                                any               the calls
//	neither text nor calls               any               an error
//	text                                 requires a call   nothing yet: another attempt; after that an error
//	text                                 requires JSON     the JSON; or another attempt; after that a refusal or an error
//	text                                 neither           the text
//
//	run.go         the Run: events pass, or end in another attempt
//	text.go        text that passes, is held back, or is cut at a limit
//	queue.go       events that wait to be given
//	usage.go       what the turn's attempts have cost
//	turn.go        the Turn
//	repair.go      one more message in the same conversation
//	limit.go       stop texts and the token limit
//	calls.go       calls on their way to the client; one at a time when it asks for that
//	guard.go       the same call over and over
//	budget.go      what conversations and keys may spend
//	strict.go      arguments that must fit the tool's schema
//	system.go      where the client's system text goes
//	written.go     calls that the model wrote as text, between its own markers
//	narrated.go    calls that the model tells of instead of making them
//	toolchoice.go  a tool that must be called
//	format.go      JSON, with jsonvalues.go, which finds it in an answer, and refusal.go, which tells that there is none
package control
