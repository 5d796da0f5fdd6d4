// Package costtest counts what the whole gateway costs: allocations, bytes and goroutines, from the client's request to
// upstream's stream and back. It has tests only. They count and never measure time, so a busy machine changes nothing; what
// takes time is measured by bench/.
//
//	client ── memnet ── httpd, chat, gateway, localagent ── memnet ── upstream
//
// The upstream is the smallest that localagent takes: it does what each test says, from bytes that are ready.
package costtest
