// Package bridge is a backend that reaches Cursor's local agent through the reference system's HTTP/2 bridge
// (package bridgeserver serves the same contract).
//
// The bridge takes one encoded run request and passes upstream's frames back. Nothing can be sent to
// upstream after that, so a turn ends with the first tool call: the request is closed, and after the
// client's result another one sends the whole conversation again (package replay). There are no parallel
// calls, no checkpoints and no conversation memory: the contract has no place for them. The run request is
// encoded by package agentwire, as for package localagent.
//
//	backend.go   Backend, and one request
//	answer.go    upstream's frames as events
//	errors.go    what an error of the bridge means
package bridge
