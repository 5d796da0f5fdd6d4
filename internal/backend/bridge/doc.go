// Package bridge is a backend that reaches Cursor's local agent through the reference system's HTTP/2 bridge (package
// composer-api/internal/bridge serves the same contract).
//
// The bridge takes one encoded run request and passes upstream's frames back. Nothing can be answered through it, so a
// turn ends with the first tool call: the request is given up, and after the client's result another one tells the whole
// conversation again (package oneshot). There are no parallel calls, no checkpoints and no conversation memory: the
// contract has no place for them. The run request itself is package localagent's, word for word.
package bridge
