// Package service is the stateful half of the Responses API: it keeps responses, continues them, runs them in the
// background, and answers for them later. Package api/responses has what a request and a
// response look like, package gateway what a turn does.
//
// The routes are in routes.go, one line each. A response is stored when its request says so (store, which is true
// unless the client says otherwise) and before the client learns that it is complete, so that whatever a client has
// been told can be found again, by this process or another. With store: false nothing of it reaches the disk, unless it
// belongs to a conversation (conversation.go); a background response is then kept in memory for a while (brief.go). A
// response belongs to the owner who made it; to everybody else it doesn't exist.
//
// A background response runs as a job (job.go) of one process, which holds a lease on its row. Its events go into a
// journal (journal.go), in memory for those who watch here and in the store for those who come later or elsewhere
// (follow.go). When a process dies, another, or its successor, finds the lease expired and marks the response as
// failed (lease.go).
//
// The states of a stored response, and who may take it from one to the next:
//
//	queued ─► in_progress ─┬─► completed, incomplete, failed   by the job
//	   │                   ├─► cancelled                       by any process whose client cancels it
//	   │                   └─► failed (interrupted)            by any process that finds the lease expired
//	   └─► failed, cancelled: when the turn never began
//
// Every change names the revision of the row that it replaces, so of two who change it one gets store.ErrConflict, and
// reads again. A response that isn't a background one is written once, when it has ended.
//
// Goroutines of a Service, and what ends them:
//
//	keepLeases             one; ends with Close
//	a job                  run, saveEvents and watchRow; end when the end of the response is stored, or with Close
//	a socket               its handler, one for each lane with work, one for pings; end with the connection
//	a follower             the handler of its request; ends with the response or the client
//
// Locks: Service.mu, socket.mu, journal.mu, brief.mu and recall.mu guard each its own tables.
// None is held while the store, the gateway or a client is waited for, and none is taken while
// another is held.
//
// Read service.go, then create.go (a record), prepare.go (what went before), job.go and savejob.go with
// journal.go and lease.go, follow.go, and socket.go with handshake.go, sockets.go,
// socketanswer.go, socketsteer.go and recall.go. The routes that are no turns: retrieve.go, cancel.go, compact.go, count.go
// and conversationroutes.go.
package service
