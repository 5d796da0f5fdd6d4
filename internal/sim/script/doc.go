// Package script is the simulator's language: what a model says, in which order, and how its server misbehaves.
//
// A [Script] is a list of turns, a [Turn] a list of steps, one on a line. A turn is what the model does from one user
// message to the end of its answer, tool calls included: the steps after a call are played once its results are in.
//
//	# a comment
//	turn
//	think Let me look at the file.
//	call read {"path":"go.mod"}
//	text The file says: {result 1}
//	usage input=120 output=40 cache_read=1000
//
// Who plays it decides how a step looks: package cursorsim puts it on Cursor's wire, the demo backend turns it into
// events in process. A step that a player has no use for (a blob, a split frame) is skipped by that player.
//
// # Steps
//
// A TEXT is the rest of the line, or a Go string in double quotes, which may hold line breaks and any byte. JSON is an
// object on one line. DURATION is as Go writes it: 200ms, 2s, 1h.
//
//	text TEXT              one piece of the answer
//	say TEXT               the answer in pieces, one for each word
//	many N DURATION TEXT   N pieces of the answer, DURATION apart
//	notice TEXT            a piece of text that is the server's, not the model's
//	think TEXT             a piece of the model's reasoning
//	call TOOL JSON         one call of a client's tool; the next step waits for its result
//	builtin TOOL JSON      one call of a tool of Cursor's own: shell, read, write, delete, grep, ls, ...
//	calls [N] ... end      parallel calls, announced as N when N is given; between calls and end stand call, builtin,
//	                       again, delay, text, think, abort, and the next step waits for all results
//	again N                sends the turn's call number N once more, as another exec of the same call
//	abort N                withdraws the turn's call number N
//	mirror TOOL JSON       a call that the server only reports and nobody may run
//	query KIND             asks the user something that a program can't answer: web-search, ask-question, switch-mode,
//	                       create-plan, web-fetch, mcp-auth, generate-image
//	exec N                 asks for the unknown operation with field number N
//	set-blob NAME TEXT     gives the client a blob to keep
//	get-blob NAME          asks for it back; a miss fails the turn
//	checkpoint [USED MAX]  the conversation's state so far, with its tokens
//	tokens N               says that N more tokens were written
//	usage K=N ...          what the turn costs: input, output, cache_read, cache_write, reasoning
//	turn-ended             says so early; a turn that comes to its end says so by itself
//	ask-tools              asks the client which tools it has now, as a server does when the model looks one up
//	delay DURATION         waits
//	expect WHAT TEXT       notes a failure unless WHAT contains TEXT: prompt, tools, model, answer, results,
//	                       result N
//	play NAME              the first turn of the named script of the library
//
// And the faults:
//
//	hold [DURATION]        nothing but heartbeats, for DURATION or until the client leaves
//	stall [DURATION]       nothing at all
//	cut                    breaks the connection; what was sent last may be lost with it, unless a get-blob between
//	                       waited for the client
//	drop                   ends the stream properly, but without having said that the turn has ended
//	error CODE [detail=N] [retryable=BOOL] [title=QUOTED] [TEXT]
//	                       ends the stream in an error: CODE is Connect's, N a number of Cursor's enum
//	status N [retry-after=DURATION] [TEXT]
//	                       answers with HTTP status N instead of a stream; only as a turn's first step
//	garbage KIND           bytes that are no message: payload, gzip, length (a frame that promises too much), end (an
//	                       end frame that is not JSON)
//	unknown                a message, an update and fields that nobody knows
//	frames HOW             from here on: whole, split (a frame in many writes), merged (many frames in one write)
//	gzip on|off            from here on, if the client takes it
//
// # Placeholders
//
// In every TEXT and in the strings of JSON: {prompt}, {line} (its last line), {chars} (its length), {model}, {tools}
// (their names), {system} (the system prompt that the client gives in place of the server's), {images} and {messages} (how
// many), {result N} (what the client said to call number N of this turn), {results} (to all of them), {answer} (to the last
// query), {after TEXT} (the word behind TEXT in the prompt). Other braces mean themselves.
//
// # Who gets which turn
//
// A turn may say which runs it is for:
//
//	turn when tools and not prompt "title"
//	turn times 3 when attempt 1
//	turn always
//
// The conditions are: tools, images, system (the client gives a system prompt), continued (the conversation has a checkpoint),
// resume (the run carries on after a broken stream), attempt N, prompt TEXT (in quotes; what the prompt, or a system prompt of
// the client's, contains). A [Playlist] gives each run the first turn left whose conditions hold; a turn is left once, N times
// or always.
//
// A prompt may carry a script of its own, which goes before the playlist: its last block of lines that begin with
// "sim:", or its last block fenced by ```sim and ```. There every turn is left always, so the first that fits is
// played.
//
//	curl … -d '{"model":"composer-2.5","messages":[{"role":"user","content":"sim: text one\nsim: error internal Ouch"}]}'
//
// With neither, the default answers: see [defaultSteps].
//
// # Files
//
//	script.go     Script and Turn; step.go the steps, one type each
//	parse.go      reading a script: its lines; verbs.go the arguments of each step; args.go the words of a line
//	format.go     writing a step
//	player.go     playing a turn; playlist.go which turn a run gets; prompt.go a script inside a prompt
//	library.go    the scripts that come with the simulator
package script
