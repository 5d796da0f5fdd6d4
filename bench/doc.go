// Command bench measures what the gateway costs, beside servers that do less of the same work, and prints the table of
// docs/speed.md. `make bench` builds and runs it. It uses the loopback interface alone, and ends within minutes.
//
//	           HTTP/1, OpenAI's API                 HTTP/2, Connect: the local-agent protocol
//	load ──────────► composer-api ─────────────────────────► mock
//	     ──────────► floor        ─────────────────────────► mock     the least that a translator must do
//	     ──────────► proxy, nginx ── HTTP/1, OpenAI's API ─► mock     they pass bytes on
//	     ──────────► mock                                             direct: nothing in between
//
// Every server is a process of its own. The load is made by this process. The main figure is the CPU time of the server's process for
// one unit of work, because it says the same on a busy machine and on a quiet one. Times that a client sees are secondary.
//
//	file          what is in it
//	plan.go       what a prompt asks the mock to do, and the words that it answers
//	mock*.go      the upstream
//	floor.go      the floor                 proxy.go, nginx.go, gateway.go   the other servers
//	process.go    child processes           usage_linux.go   their CPU time and memory
//	prompt.go     the bodies of requests    client.go        one request, checked word by word
//	rounds.go     who is measured when, and which rounds count
//	measure*.go   the scenarios             table.go, report.go, plot.go   what is printed and drawn
package main
