// Package toolmap is the only place where Cursor's built-in tools meet a client's own.
//
// Built-in tools are switched off in every request. When upstream asks for one all the same, [New] and [Mapper.Map] look
// for a tool of the client that does the same thing, by its name and its schema, and express the call in that tool's terms:
//
//	shell {command: "ls", timeout: 5000}   ──►   Bash {"command": "ls", "timeout": 5000, "description": "ls"}
//
// A mapping that would lose or add meaning is not made: what the model asked for must have a parameter, what the client's
// schema requires must have a value, and an edit is never turned into writing a whole file. Then [Mapper.Refusal] is the
// sentence that sends the model to the client's tools.
//
// Nothing here runs anything. The tables are in table.go: a new client is a new name in a list.
//
//	use.go      what the model wants: a built-in tool's parameters
//	table.go    which tools of clients do the same, and what their parameters are called
//	mapper.go   a Use as a call of one of them
//	schema.go   what has to be known of a client's tool
//	fit.go      values in the form that a parameter takes
//	result.go   the way back: what a client's search has found
package toolmap
