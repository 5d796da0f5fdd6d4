package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// Conversations in the store, so that they survive a restart and are found by every replica.
// What is stored is the backend's own encoding (agent.Conversation.MarshalBinary) under the
// owner and the key's hash. It is the far part of a tiered memory; see memory.go.

// DurableConfig is what NewDurableMemory needs.
type DurableConfig struct {
	// Store keeps the conversations. The store encrypts them.
	Store store.Conversations
	// Backends decode their own conversations. Those that are not an agent.Restorer have no durable
	// memory.
	Backends []agent.Backend
	// Age is how long a conversation is kept; 0 means 30 days.
	Age time.Duration
	// Log receives the store's failures. Nil discards them.
	Log *slog.Logger
}

// NewDurableMemory makes a Memory that outlives the process. When the store fails, the memory has forgotten, and turns
// go on.
func NewDurableMemory(cfg DurableConfig) Memory {
	cfg.Age = cmp.Or(cfg.Age, 30*24*time.Hour)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &durable{cfg: cfg, restorers: map[string]agent.Restorer{}}
	for _, b := range cfg.Backends {
		if r, ok := b.(agent.Restorer); ok {
			m.restorers[b.Name()] = r
		}
	}
	return m
}

// A durable memory has no state but the store. It may be used concurrently. Both fields are set once.
type durable struct {
	cfg DurableConfig
	// restorers are the backends whose conversations can be written down, by name. Others are not kept.
	restorers map[string]agent.Restorer
}

// Recall implements Memory. A conversation of an older version of the backend can't be
// restored, and is as good as none. Whatever fails here costs only tokens: the turn starts from
// the transcript, and the log has the reason.
func (d *durable) Recall(ctx context.Context, key MemoryKey) (agent.Conversation, bool) {
	r := d.restorers[key.Upstream]
	if r == nil {
		return nil, false
	}
	row, err := d.cfg.Store.Conversation(ctx, key.Owner, key.Upstream, key.hash())
	if err != nil {
		d.failed("recall", err)
		return nil, false
	}
	c, err := r.Restore(row.Data)
	if err != nil {
		d.failed("restore", err)
		return nil, false
	}
	return c, true
}

// Remember implements Memory. It does nothing for backends that can't restore a conversation.
func (d *durable) Remember(ctx context.Context, key MemoryKey, c agent.Conversation) {
	if d.restorers[key.Upstream] == nil {
		return
	}
	data, err := c.MarshalBinary()
	if err == nil {
		now := time.Now()
		err = d.cfg.Store.PutConversation(ctx, store.Conversation{
			Owner: key.Owner, Hash: key.hash(), Backend: key.Upstream, Data: data, Created: now, Expires: now.Add(d.cfg.Age),
		})
	}
	d.failed("remember", err)
}

// Forget implements Memory.
func (d *durable) Forget(ctx context.Context, key MemoryKey) {
	d.failed("forget", d.cfg.Store.DeleteConversation(ctx, key.Owner, key.Upstream, key.hash()))
}

// failed logs err, if there is one. That a conversation isn't there is no failure. err's text
// is the store's. It has the kind of access and no content.
func (d *durable) failed(doing string, err error) {
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		d.cfg.Log.Warn("conversation memory", "doing", doing, "err", err)
	}
}

// hash is the key's name in a store. Owner and upstream are columns of their own. Rows written
// by an older version are found only as long as this stays the same.
func (k MemoryKey) hash() []byte {
	h := sha256.New()
	hashString(h, k.Model)
	hashString(h, k.Session)
	h.Write(k.Transcript[:])
	return h.Sum(nil)
}
