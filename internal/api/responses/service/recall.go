package service

import (
	"sync"
	"time"

	"composer-api/internal/api/responses"
	"composer-api/internal/lru"
	"composer-api/internal/store"
)

// recall holds the last responses of the sockets that are open, so that they can be continued there also when they
// were not stored. Codex sends store: false and, after the first turn, only what is new with previous_response_id; when
// the response has been dropped, it is told previous_response_not_found and sends the whole conversation.
//
// A response is kept as the row that the store would have. So a long conversation is a chain of rows, and each turn adds
// only its own. Rows leave with their socket. It is safe for concurrent use.
//
// mu guards the cache, which has no lock of its own, and the lists of ids (recent).
type recall struct {
	mu   sync.Mutex
	rows *lru.Cache[recallKey, store.Response]
}

// A recallKey names a row. The socket is part of it: a response can't be continued on another socket,
// not even by the same owner, unless it was stored. The address of recent is what tells sockets apart.
type recallKey struct {
	// of is the socket's list, by its address.
	of *recent
	id string
}

// recent are the responses of one socket that recall may hold. The lock of recall guards it.
type recent struct {
	ids []string // oldest first
}

const (
	// maxRecallBytes bounds the rows of all sockets together.
	maxRecallBytes = 128 << 20
	// maxRecallAge is how long a response can be continued that was not stored.
	maxRecallAge = time.Hour
	// maxRecent bounds the rows of one socket.
	maxRecent = 1000
)

// newRecall makes an empty one, for a Service.
func newRecall() *recall {
	return &recall{rows: lru.New[recallKey, store.Response](lru.Limits{Bytes: maxRecallBytes, Age: maxRecallAge})}
}

// newRecent makes the list of one socket.
func newRecent() *recent { return &recent{} }

// remember keeps a response of a socket. One that has failed or was cancelled is not kept: its client
// sends its request again. The cache may have dropped older ones before; deleting those does nothing.
func (c *recall) remember(of *recent, row *store.Response) {
	if s := responses.Status(row.Status); s != responses.Completed && s != responses.Incomplete {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows.Put(recallKey{of, row.ID}, *row, len(row.Input)+len(row.Object))
	of.ids = append(of.ids, row.ID)
	if len(of.ids) > maxRecent {
		c.rows.Delete(recallKey{of, of.ids[0]})
		of.ids = of.ids[1:]
	}
}

// of gives the rows of one socket by the response's id.
func (c *recall) of(of *recent) func(id string) (store.Response, bool) {
	return func(id string) (store.Response, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.rows.Get(recallKey{of, id})
	}
}

// forget drops all rows of a socket.
func (c *recall) forget(of *recent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range of.ids {
		c.rows.Delete(recallKey{of, id})
	}
	of.ids = nil
}
